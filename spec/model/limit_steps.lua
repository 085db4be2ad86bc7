-- The interpreter's steps about deadlines, shields and scopes.

---@param I table what the interpreter has for steps
return function(I)
    local steps, log = I.steps, I.log

    -- What `inner` returned, wrapped so that it passes through what runs it.
    local function around(ctx, name, wrapped)
        local result = wrapped()
        log(ctx, "end of %s", name)
        return result
    end

    ---{"deadline", seconds, inner}
    function steps.deadline(ctx, seconds, inner)
        return around(ctx, "with_deadline", function()
            return ctx.world.api.with_deadline(seconds, I.run_steps, ctx, inner)
        end)
    end

    ---{"shield", seconds, inner}
    function steps.shield(ctx, seconds, inner)
        return around(ctx, "shield", function()
            return ctx.world.api.shield(function() return I.run_steps(ctx, inner) end, seconds)
        end)
    end

    ---{"scope", deadline, inner}: the scope is known by the number of its tasklet.
    function steps.scope(ctx, deadline, inner)
        local world = ctx.world
        world.scopes = world.scopes or {}
        return around(ctx, "scope", function()
            return world.api.scope(function(s)
                world.scopes[ctx.own or 0] = s
                return I.run_steps(ctx, inner)
            end, { deadline = deadline })
        end)
    end

    local function scope_of(ctx, number)
        return ctx.world.scopes and ctx.world.scopes[number == 0 and ctx.own or number]
    end

    ---{"member", of, number, how}
    function steps.member(ctx, of, number, how)
        local world, s = ctx.world, scope_of(ctx, of)
        if s and I.take_number(world, number) then
            local argument = how == "run" and "argument" or nil
            local ok, t = pcall(s[how], s, I.body(world, number), argument)
            if not ok then
                world.taken[number] = world.tasks[number] ~= nil
                error(t, 0)
            end
            world.tasks[number] = t
            log(ctx, "has a member t%d", number)
        end
    end

    function steps.end_scope(ctx, of)
        local s = scope_of(ctx, of)
        if s then
            s:kill()
            log(ctx, "killed the scope of t%d", of)
        end
    end
end
