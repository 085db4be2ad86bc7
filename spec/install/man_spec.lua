-- The page for man: laid out as such pages are, and it says of options what the program says.

local helper = require "spec.helper"
local place = require "spec.install.place"

local path = helper.root .. "/docs/tasklet.1"
local page = place.slurp(path)

-- What mandoc's lint says, of which nothing is about the page: whether other pages are there, and
-- what only a BSD has.
local function lint(text)
    local file = os.tmpname()
    place.spill(file, text)
    local _, said = place.try("mandoc -T lint -W style $file", {file = file})
    os.remove(file)
    local lines = {}
    for line in said:gmatch("[^\n]+") do
        if not (line:find("referenced manual not found", 1, true) or line:find("^mandoc: outdated ")
            or line:find("operating system explicitly specified", 1, true)) then
            lines[#lines + 1] = line
        end
    end
    return table.concat(lines, "\n")
end

-- The options that the page has entries for, in its section DESCRIPTION: "-e", "--seed".
local function options_of_page()
    local options, entries = {}, page:match("\n%.Sh DESCRIPTION\n(.-)\n%.Sh ")
    for entry in entries:gmatch("\n%.It (Fl[^\n]*)") do
        for name in (entry .. " ,"):gmatch("%f[%w]Fl *([^%s,]*)") do
            name = name == "Ar" and "" or name
            options["-" .. name] = true
        end
    end
    return options
end

-- Those that the help names at the beginning of a line, or in the text on `test`.
local function options_of_help()
    local help = helper.run{"--help"}.stdout
    local options = {}
    local list, rest = help:match("Available options are:\n(.-)\n('test'.*)$")
    for line in list:gmatch("[^\n]+") do
        local words = line:match("^  (%-.-)  +%S") or line:match("^  (%-%S*)")
        for name in words:gmatch("%f[^%s,%z](%-[%-%w]*)") do
            options[name] = true
        end
    end
    for name in rest:gmatch("(%-%-%l[%l-]*)") do
        options[name] = true
    end
    return options
end

describe("the page for man", function()
    it("has nothing that mandoc would warn of", function()
        assert.equal("", lint(page))
        assert.matches("WARNING", lint(page .. ".Sh ENVIRONMENT\n"))
    end)

    it("has an entry for each option of the help, and for no other", function()
        local help = options_of_help()
        assert.is_true(help["-e"] and help["--help"] and help["-"] and help["--limit"])
        assert.same(help, options_of_page())
    end)

    it("is of the version of the program", function()
        assert.equal("tasklet " .. place.version, page:match('\n%.Os "([^"]*)"'))
        assert.matches("^tasklet " .. place.version:gsub("%.", "%%.") .. " ",
            helper.run{"--version"}.stdout)
    end)

    it("names the statuses that the reference names", function()
        local reference = place.slurp(helper.root .. "/docs/reference/host.md")
        local named, count = {}, 0
        for status in page:match("\n%.Sh EXIT STATUS\n(.-)\n%.Sh "):gmatch("\n%.It (%d+)") do
            named[status] = true
        end
        for status in reference:match("\n## Statuses\n(.-)\n## "):gmatch("\n| (%d+) ") do
            assert.is_true(named[status], status)
            named[status] = nil
            count = count + 1
        end
        assert.is_nil(next(named))
        assert.is_true(count >= 5)
    end)

    it("has an example that does what it says", function()
        local script = page:match("\n%.Bd %-literal[^\n]*\n(.-\n)%.Ed\n")
        local result = helper.run_file(script)
        assert.equal("", result.stderr)
        assert.equal("first\nsecond\n", result.stdout)
    end)
end)
