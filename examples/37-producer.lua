-- A producer, a filter and a consumer, tied together by channels. The end of the work travels by
-- closing: blocked senders are still served, then every loop over the channel ends.

local tasklet = require "tasklet"

-- Sends the lines of a text, and closes the channel at the end.
local function produce(out, ...)
    local count = out:send_sequence({...})
    out:close()
    return count
end

-- Passes on what has at least four letters. A channel is an iterator, so it can be sent, too.
local function filter(input, out)
    local count = out:send_sequence(coroutine.wrap(function()
        for word in input do
            if #word >= 4 then
                coroutine.yield(word)
            end
        end
    end))
    out:close()
    return count
end

local words, long_words = tasklet.channel(), tasklet.channel()
local producer = tasklet.run(produce, words, "every", "word", "of", "a", "short", "text")
local sieve = tasklet.run(filter, words, long_words)
for word in long_words do
    print(word)
end
print("produced", producer:join(), "passed on", sieve:join())

-- What is waiting to be sent when a channel is closed can be received all the same.
local channel = tasklet.channel()
tasklet.run(channel.send, channel, "the last one")
channel:close()
print(channel.closing, channel.closed)
print(channel:receive())
print(channel.closing, channel.closed)

-- After that, both verbs raise a ChannelError. open() undoes close().
local sent, why = pcall(channel.send, channel, "too late")
print("sent", sent, tasklet.ChannelError:is(why))
local received, why_not = pcall(channel.receive, channel)
print("received", received, tasklet.ChannelError:is(why_not))
channel:open()
tasklet.run(channel.send, channel, "as new")
print(channel:receive())

-- A receiver that gets nothing any more is woken by close.
local waiting = tasklet.run(function() return pcall(channel.receive, channel) end)
print(waiting.blocked, channel.balance)
channel:close()
local ok, err = waiting:join()
print(ok, tasklet.ChannelError:is(err), channel.balance)
