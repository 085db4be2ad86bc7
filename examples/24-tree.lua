-- Who started whom: parent, children, the tree; tasklets that are made first and started later.

local tasklet = require "tasklet"

-- new makes a tasklet that does not run yet. What it is called with are its arguments; it then goes
-- to the end of the run queue.
local function bake(kind)
    tasklet.sleep(0.01)
    return "a loaf of " .. kind
end

local baker = tasklet.new(bake, {name = "baker"})
print(baker.name, "tasklets", tasklet.count()) -- the main one is there, too
baker("rye")
print(baker.name, "tasklets", tasklet.count())
print(baker:join())
print(baker.name, "finished", baker:has_finished())

-- A tasklet is the child of the one that made it.
local bakery = tasklet.new(function()
    for _, name in ipairs{"oven", "shop"} do
        local part = tasklet.new(function()
            for i = 1, 2 do
                tasklet.new(tasklet.sleep, {name = name .. " " .. i}):start(60)
            end
            tasklet.sleep(60)
        end, {name = name})
        part:start() -- as run: at once, up to its first wait
    end
    tasklet.sleep(60)
end, {name = "bakery"}):start()

local function show()
    for task, level in bakery:tree() do
        print(("  "):rep(level) .. task.name)
    end
end

show()
local shop = bakery:children()[2]
print(shop.name, shop:parent() == bakery, shop:parent():parent() == tasklet.current())

-- A kill ends one tasklet; its children go on. To end a whole tree, begin at the leaves. (Where
-- tasklets are to end together from the start, a scope is simpler: see 27-scope.lua.)
local function fell(root)
    local tasks = {}
    for task in root:tree() do
        tasks[#tasks + 1] = task
    end
    for i = #tasks, 1, -1 do
        tasks[i]:kill()
    end
end

fell(shop)
show()
fell(bakery)

-- A daemon is nobody's child, and does not keep the program alive.
local radio = tasklet.new(tasklet.sleep, {name = "radio", daemon = true}):start(60)
print(radio.name, radio:parent(), #tasklet.current():children())
