-- The interpreter's steps about the run queue by hand, and what begins and throws.

---@param I table what the interpreter has for steps
return function(I)
    local steps, log, task = I.steps, I.log, I.task

    local MOST_BINDS = 4 -- of a program: two that start each other again and again come to an end

    local function word(ctx, value)
        if type(value) == "string" or type(value) == "number" or value == nil then
            return tostring(value)
        end
        return I.number_of(ctx.world, value)
    end

    ---{"new", number, bound}
    function steps.new(ctx, number, bound)
        local world = ctx.world
        if I.take_number(world, number) then
            world.tasks[number] = world.api.new(bound and I.body(world, number) or nil)
            log(ctx, "has made t%d", number)
        end
    end

    ---{"bind", number, script}: 0: to nothing.
    function steps.bind(ctx, number, script)
        local world, t = ctx.world, task(ctx, number)
        world.binds = (world.binds or 0) + 1
        if t and world.binds <= MOST_BINDS then
            local f = script > 0 and I.body(world, number > 0 and number or ctx.own, script) or nil
            log(ctx, "bound t%d: %s", number, word(ctx, t:bind(f)))
        end
    end

    ---{"begin", number, how, value}
    function steps.begin(ctx, number, how, value)
        local t = task(ctx, number)
        if t then
            local result
            if how == "call" then
                result = t(value, nil)
            else
                result = t[how](t, value, nil)
            end
            log(ctx, "%s of t%d: %s", how, number, word(ctx, result))
        end
    end

    ---{"by_hand", number, verb}: insert, remove, run or switch.
    function steps.by_hand(ctx, number, verb)
        local t = task(ctx, number)
        if t then
            log(ctx, "%s of t%d: %s", verb, number, word(ctx, t[verb](t)))
        end
    end

    ---{"schedule", verb, value}
    function steps.schedule(ctx, verb, ...)
        log(ctx, "%s: %s", verb, word(ctx, ctx.world.api[verb](...)))
    end

    function steps.tempval(ctx, number, value)
        local t = task(ctx, number)
        if t then
            t.tempval = value
        end
    end

    function steps.trap(ctx, number, flag)
        local t = task(ctx, number)
        if t then
            t.block_trap = flag
        end
    end

    ---{"throw", number, value, pending}: a number stands for a table, "exit" for a TaskletExit.
    function steps.throw(ctx, number, value, pending)
        local t = task(ctx, number)
        if t then
            t:throw(I.error_value(ctx, value), pending)
            log(ctx, "threw into t%d", number)
        end
    end

    ---{"raise", number, value}: "class" stands for TimeoutError and an argument.
    function steps.raise(ctx, number, value)
        local t = task(ctx, number)
        if t then
            if value == "class" then
                t:raise_exception(ctx.world.api.TimeoutError, "late")
            else
                t:raise_exception(I.error_value(ctx, value), "ignored")
            end
            log(ctx, "raised in t%d", number)
        end
    end

    local flags = { "alive", "paused", "blocked", "scheduled", "is_current" }

    function steps.look(ctx, number)
        local t = task(ctx, number)
        if t then
            local words = {}
            for _, flag in ipairs(flags) do
                if t[flag] then
                    words[#words + 1] = flag
                end
            end
            log(ctx, "t%d is %s, tempval %s", number, table.concat(words, ", "),
                word(ctx, t.tempval))
        end
    end

    -- In a nested run not told: the ring is that of the innermost.
    function steps.neighbours(ctx, number)
        local t, me = task(ctx, number), ctx.world.api.current()
        if t and me and me.nesting_level == 0 then
            log(ctx, "t%d stands between %s and %s", number, word(ctx, t.prev), word(ctx, t.next))
        end
    end

    function steps.runcount(ctx)
        log(ctx, "%d are runnable", ctx.world.api.getruncount())
    end
end
