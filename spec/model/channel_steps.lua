-- The interpreter's steps about channels.

---@param I table what the interpreter has for steps
return function(I)
    local steps, log = I.steps, I.log

    local function channel(ctx, number)
        local world = ctx.world
        world.channels[number] = world.channels[number] or world.api.channel()
        return world.channels[number]
    end

    I.channel = channel

    function steps.preference(ctx, number, value, schedule_all)
        local ch = channel(ctx, number)
        ch.preference, ch.schedule_all = value, schedule_all
    end

    function steps.ch_send(ctx, number, value, seconds)
        channel(ctx, number):send(value, seconds)
        log(ctx, "sent %s on channel %d", tostring(value), number)
    end

    function steps.ch_receive(ctx, number, seconds)
        log(ctx, "received %s on channel %d", tostring(channel(ctx, number):receive(seconds)),
            number)
    end

    ---{"ch_exception", number, value}: "class" stands for TimeoutError and an argument.
    function steps.ch_exception(ctx, number, value)
        if value == "class" then
            channel(ctx, number):send_exception(ctx.world.api.TimeoutError, "late")
        else
            channel(ctx, number):send_exception(I.error_value(ctx, value))
        end
        log(ctx, "sent an exception on channel %d", number)
    end

    function steps.ch_sequence(ctx, number, ...)
        log(ctx, "sent %d on channel %d", channel(ctx, number):send_sequence({ ... }), number)
    end

    function steps.ch_iterate(ctx, number, inner)
        local left = 3 -- two that send each other what they get come to an end
        for value in channel(ctx, number) do
            log(ctx, "iterates: %s on channel %d", value, number)
            left = left - 1
            if I.run_steps(ctx, inner) or left == 0 then
                break
            end
        end
        log(ctx, "end of the iteration of channel %d", number)
    end

    function steps.ch_close(ctx, number)
        channel(ctx, number):close()
        log(ctx, "closed channel %d", number)
    end

    function steps.ch_open(ctx, number)
        channel(ctx, number):open()
        log(ctx, "opened channel %d", number)
    end

    function steps.ch_look(ctx, number)
        local ch = channel(ctx, number)
        log(ctx, "channel %d: balance %d, queue %s, closing %s, closed %s", number, ch.balance,
            I.number_of(ctx.world, ch.queue), tostring(ch.closing), tostring(ch.closed))
    end
end
