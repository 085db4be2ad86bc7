-- WaitForIO takes Lua's own files too. A command runs; meanwhile a ticker goes on.

local tasklet = require "tasklet"

local ticker = tasklet.run(function()
    for i = 1, 3 do
        print("tick", i)
        tasklet.sleep(0.01)
    end
end)

local command = assert(io.popen("sleep 0.2; echo the answer", "r"))
tasklet.wait(tasklet.WaitForIO(command))
print(command:read("a"))
print(command:close())
tasklet.join(ticker)
