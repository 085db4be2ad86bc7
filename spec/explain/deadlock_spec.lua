-- A program that hangs says why: who waits, for what, since when, where, and who for whom.

local support = require "spec.explain.support"

---@param text string
---@return string # without the indentation of its first line
local function lines(text)
    local indent = text:match("^ *")
    return (("\n" .. text):gsub("\n" .. indent, "\n"):gsub("^\n", ""):gsub("    ", "\t")
        :gsub("\n%s*$", "\n"))
end

---@param script string
---@param expected string with four spaces for a tab
local function hangs(script, expected)
    assert.equal(lines(expected), support.report_of(lines(script)))
end

describe("the report of a deadlock", function()
    it("7.7 tells of two that join each other", function()
        hangs([[
            local a, b
            a = tasklet.new(function() b:join() end, {name = "a"})
            b = tasklet.new(function() a:join() end, {name = "b"})
            a() b()
        ]], [[
            deadlock: nothing can ever wake the 2 tasklets that wait
                'a' #2, started at s.lua:5
                    has waited 0.0 s at s.lua:3: join: the end of 'b' #3
                'b' #3, started at s.lua:5
                    has waited 0.0 s at s.lua:4: join: the end of 'a' #2
                cycle: a #2 -> b #3 -> a #2
        ]])
    end)

    it("7.7 tells of a cycle of three joins, and of who waits beside it", function()
        hangs([[
            local t = {}
            for i, name in ipairs{"c", "b", "a"} do
                t[i] = tasklet.new(function() t[i % 3 + 1]:join() end, {name = name})
            end
            for i = 3, 1, -1 do t[i]() end
            t[2]:join()
        ]], [[
            deadlock: nothing can ever wake the 4 tasklets that wait
                'main' #1
                    has waited 0.0 s at s.lua:7: join: the end of 'b' #3
                'c' #2, started at s.lua:6
                    has waited 0.0 s at s.lua:4: join: the end of 'b' #3
                'b' #3, started at s.lua:6
                    has waited 0.0 s at s.lua:4: join: the end of 'a' #4
                'a' #4, started at s.lua:6
                    has waited 0.0 s at s.lua:4: join: the end of 'c' #2
                cycle: c #2 -> b #3 -> a #4 -> c #2
        ]])
    end)

    it("7.7 tells of a parent that joins its child, which waits for the parent", function()
        hangs([[
            local parent = tasklet.current()
            local child = tasklet.new(function()
                tasklet.sleep(2)
                tasklet.wait(parent)
            end, {name = "child"})
            child():join()
        ]], [[
            deadlock: nothing can ever wake the 2 tasklets that wait
                'main' #1
                    has waited 2.0 s at s.lua:7: join: the end of 'child' #2
                'child' #2, started at s.lua:7
                    has waited 0.0 s at s.lua:5: WaitForTasklet('main' #1)
                cycle: main #1 -> child #2 -> main #1
        ]])
    end)

    it("7.7 tells of calls in a cycle", function()
        hangs([[
            local function server(other)
                return function()
                    for message in tasklet.receive() do
                        message:reply(tasklet.call(other(), message.name, message.value))
                    end
                end
            end
            local a, b
            a = tasklet.new(server(function() return b end), {name = "a"}):start()
            b = tasklet.new(server(function() return a end), {name = "b"}):start()
            tasklet.sleep(1.5)
            tasklet.call(a, "fetch")
        ]], [[
            deadlock: nothing can ever wake the 3 tasklets that wait
                'main' #1
                    has waited 0.0 s at s.lua:13: call: an answer of 'a' #2
                'a' #2, started at s.lua:10
                    has waited 0.0 s at s.lua:5: call: an answer of 'b' #3
                    mailbox 1: fetch 1
                'b' #3, started at s.lua:11
                    has waited 0.0 s at s.lua:5: call: an answer of 'a' #2
                cycle: a #2 -> b #3 -> a #2
        ]])
    end)

    it("7.7 tells of full mailboxes in a cycle", function()
        hangs([[
            local a, b
            local function flood(other)
                return function()
                    tasklet.sleep(1)
                    while true do tasklet.send(other(), "item") end
                end
            end
            a = tasklet.new(flood(function() return b end), {name = "a", max_mailbox_len = 2})
            b = tasklet.new(flood(function() return a end), {name = "b", max_mailbox_len = 2})
            a() b()
        ]], [[
            deadlock: nothing can ever wake the 2 tasklets that wait
                'a' #2, started at s.lua:11
                    has waited 0.0 s at s.lua:6: send: room in the mailbox of 'b' #3
                    mailbox 2: item 2; 1 sender waits for room
                'b' #3, started at s.lua:11
                    has waited 0.0 s at s.lua:6: send: room in the mailbox of 'a' #2
                    mailbox 2: item 2; 1 sender waits for room
                cycle: a #2 -> b #3 -> a #2
        ]])
    end)

    it("7.7 tells of channels without a partner", function()
        hangs([[
            local ch = tasklet.channel()
            tasklet.new(function() ch:send(1) end, {name = "sender"}):start()
            local other = tasklet.channel()
            tasklet.new(function() other:receive() end, {name = "receiver"}):start()
            local third = tasklet.channel()
            tasklet.new(function()
                tasklet.wait(tasklet.WaitForChannel(third, "receive"), tasklet.WaitForCall())
            end, {name = "selects"}):start()
        ]], [[
            deadlock: nothing can ever wake the 3 tasklets that wait
                'sender' #2, started at s.lua:3
                    has waited 0.0 s at s.lua:3: send: a receiver on channel: 0x..
                'receiver' #3, started at s.lua:5
                    has waited 0.0 s at s.lua:5: receive: a sender on channel: 0x..
                'selects' #4, started at s.lua:7
                    has waited 0.0 s at s.lua:8: WaitForChannel(receive) or WaitForCall
        ]])
    end)

    it("7.7 tells of a message that is deferred for ever", function()
        hangs([[
            local t = tasklet.new(function()
                while true do
                    tasklet.wait(tasklet.WaitForMessages{accept = "go", defer = {"item", "odd"}})
                end
            end, {name = "t"}):start()
            tasklet.send(t, "item")
            tasklet.send(t, "odd")
            tasklet.send(t, "item")
        ]], [[
            deadlock: nothing can ever wake the tasklet that waits
                't' #2, started at s.lua:2
                    has waited 0.0 s at s.lua:4: WaitForMessages(accept go; defer item, odd)
                    mailbox 3: item 2, odd 1
        ]])
    end)

    it("7.7 tells of a wake-up that is lost, and of a signal that nobody emits", function()
        hangs([[
            tasklet.new(function() tasklet.wait(tasklet.WaitForCall()) end, {name = "a"}):start()
            tasklet.new(function()
                tasklet.wait(tasklet.WaitForSignal(tasklet.Emitter{"done"}, "done"))
            end, {name = "b"}):start()
        ]], [[
            deadlock: nothing can ever wake the 2 tasklets that wait
                'a' #2, started at s.lua:2
                    has waited 0.0 s at s.lua:2: WaitForCall
                'b' #3, started at s.lua:3
                    has waited 0.0 s at s.lua:4: WaitForSignal("done")
        ]])
    end)

    it("7.7 tells of a scope whose member hangs", function()
        hangs([[
            tasklet.scope(function(s)
                s:new(function() tasklet.wait(tasklet.WaitForCall()) end, {name = "member"})()
            end)
        ]], [[
            deadlock: nothing can ever wake the 2 tasklets that wait
                'main' #1
                    has waited 0.0 s at s.lua:2: scope: the end of 'member' #2
                'member' #2, started at s.lua:3
                    has waited 0.0 s at s.lua:3: WaitForCall
        ]])
    end)

    it("7.7 finds cycles through each of several that are waited for", function()
        for verb, begin in pairs {
            scope = "tasklet.scope(function(s) s:run(hang) s:run(join) end)",
            all = "tasklet.all{hang, join}",
            any = "tasklet.any{hang, join}",
            join_all = "tasklet.join_all{tasklet.run(hang), tasklet.run(join)}",
            join_children = "tasklet.run(hang) tasklet.run(join) tasklet.join_children()",
        } do
            local report = support.report_of([[
                local main = tasklet.current()
                local function hang() tasklet.wait(tasklet.WaitForCall()) end
                local function join() main:join() end
            ]] .. begin)
            local name = report:match("'(s.lua:4)' #3, started at s.lua:5\n")
            assert.is_truthy(name, verb)
            local cycle = report:match("\tcycle: ([^\n]*)\n$")
            assert.equal("main #1 -> s.lua:4 #3 -> main #1", cycle, report)
        end
    end)

    it("7.7 forgets whom one has joined in vain", function()
        hangs([[
            local main = tasklet.current()
            local function hang() tasklet.wait(tasklet.WaitForCall()) end
            local a = tasklet.new(hang, {name = "a"}):start()
            local b = tasklet.new(function() main:join() end, {name = "b"}):start()
            pcall(tasklet.join_all, {a, b}, 1)
            a:join()
        ]], [[
            deadlock: nothing can ever wake the 3 tasklets that wait
                'main' #1
                    has waited 0.0 s at s.lua:7: join: the end of 'a' #2
                'a' #2, started at s.lua:4
                    has waited 1.0 s at s.lua:3: WaitForCall
                'b' #3, started at s.lua:5
                    has waited 1.0 s at s.lua:5: join: the end of 'main' #1
        ]])
    end)

    it("7.7 leaves daemons out", function()
        hangs([[
            local d = tasklet.new(function()
                tasklet.wait(tasklet.WaitForCall())
            end, {name = "d", daemon = true}):start()
            tasklet.new(function() d:join() end, {name = "t"})()
        ]], [[
            deadlock: nothing can ever wake the tasklet that waits
                't' #3, started at s.lua:5
                    has waited 0.0 s at s.lua:5: join: the end of 'd' #2
        ]])
    end)

    it("7.7 tells of the main tasklet alone", function()
        hangs([[
            tasklet.sleep(90)
            for message in tasklet.receive() do
                error(message)
            end
        ]], [[
            deadlock: nothing can ever wake the tasklet that waits
                'main' #1
                    has waited 0.0 s at s.lua:3: receive: a message
        ]])
    end)

    it("7.7 finds the line inside of generators", function()
        hangs([[
            local function each()
                return coroutine.wrap(function()
                    local inner = coroutine.create(function()
                        tasklet.wait(tasklet.WaitForCall())
                    end)
                    coroutine.resume(inner)
                end)
            end
            tasklet.new(function()
                for _ in each() do end
            end, {name = "t"})()
        ]], [[
            deadlock: nothing can ever wake the tasklet that waits
                't' #2, started at s.lua:10
                    has waited 0.0 s at s.lua:5: WaitForCall
        ]])
    end)

    it("7.7 tells of the end of what never begins, is paused or has no function", function()
        hangs([[
            local new = tasklet.new(print, {name = "new"})
            local paused = tasklet.new(print, {name = "paused"})()
            paused:remove()
            local unbound = tasklet.new(nil, {name = "unbound"})
            for _, t in ipairs{new, paused, unbound} do
                tasklet.new(tasklet.join, {name = "joiner"})(t)
            end
        ]], [[
            deadlock: nothing can ever wake the 3 tasklets that wait
                'joiner' #5, started at s.lua:7
                    has waited 0.0 s: join: the end of 'new' #2, which has not been called
                'joiner' #6, started at s.lua:7
                    has waited 0.0 s: join: the end of 'paused' #3, which is paused
                'joiner' #7, started at s.lua:7
                    has waited 0.0 s: join: the end of 'unbound' #4, which has no function
        ]])
    end)

    it("7.7 is not endless", function()
        local report = support.report_of [[
            for i = 1, 50 do
                tasklet.new(tasklet.wait, {name = "t" .. i})(tasklet.WaitForCall())
            end
        ]]
        assert.is_truthy(report:find("wake the 50 tasklets", 1, true), report)
        assert.is_truthy(report:find("'t20'", 1, true), report)
        assert.is_falsy(report:find("'t21'", 1, true), report)
        assert.is_truthy(report:find("\tand 30 more\n", 1, true), report)
    end)
end)
