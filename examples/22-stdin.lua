-- Standard input, read when there is something to read. Other tasklets could go on meanwhile.
-- It counts words.
-- stdin: four small plain words

local tasklet = require "tasklet"
local uv = require "luv"

-- io.read would take more than it returns into a buffer where WaitForIO cannot see it;
-- fs_read takes what is there, and returns "" at the end.
local readable = tasklet.WaitForIO(0)
local text = {}
repeat
    tasklet.wait(readable)
    local data = assert(uv.fs_read(0, 4096))
    text[#text + 1] = data
until data == ""

local words = 0
for word in table.concat(text):gmatch("%S+") do
    words = words + 1
    print(words, word)
end
