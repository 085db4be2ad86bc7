-- What the peers' programs share. They run under other Lua versions than 5.4, too.

local M = {}

---Prints one measurement as `name value unit`.
function M.report(name, value, unit)
    print(("%s %.3f %s"):format(name, value, unit))
end

---Ends the program with status 1 unless `holds`: a wrong result is not a measurement.
function M.check(holds, what)
    if not holds then
        io.stderr:write("wrong: ", what, "\n")
        os.exit(1)
    end
end

---The n-th argument of the script, which says what is passed: bare numbers, or a message for each.
---@return boolean whether it is messages
function M.passes_messages(n)
    M.check(arg[n] == "numbers" or arg[n] == "messages", "what is passed is numbers or messages")
    return arg[n] == "messages"
end

---The n-th argument of the script, a positive count.
function M.count(n, name)
    local value = tonumber(arg[n])
    M.check(value and value > 0 and value % 1 == 0,
        ("argument %d, %s, is a positive count"):format(n, name))
    return value
end

return M
