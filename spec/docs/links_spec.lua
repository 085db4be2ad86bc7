-- The pages hang together: each link leads somewhere, and each page, example and decision is named
-- in a list.

local helper = require "spec.helper"
local lfs = require "lfs"

---@param directory string from the root; "" is the root
---@param found string[]
---@return string[] found paths from the root
local function find_pages(directory, found)
    for name in lfs.dir(helper.root .. "/" .. directory) do
        local path = directory .. "/" .. name
        if name:find("%.md$") then
            found[#found + 1] = path
        elseif not name:find("^%.") and
            lfs.attributes(helper.root .. "/" .. path, "mode") == "directory" then
            find_pages(path, found)
        end
    end
    return found
end

local pages = find_pages("docs", {"README.md"})
table.sort(pages)

---The text of a page without its blocks.
---@param page string
---@return string
local function prose_of(page)
    local lines, in_block = {}, false
    for line in io.lines(helper.root .. "/" .. page) do
        if line:find("^ *```") then
            in_block = not in_block
        elseif not in_block then
            lines[#lines + 1] = line
        end
    end
    return table.concat(lines, "\n")
end

---The names by which a browser finds the headings of a page.
---@param page string
---@return table<string, true>
local function anchors_of(page)
    local anchors = {}
    for heading in ("\n" .. prose_of(page)):gmatch("\n#+ ([^\n]*)") do
        local name = heading:lower():gsub("[^%w_ -]", ""):gsub(" ", "-")
        while anchors[name] do
            name = name .. "-1"
        end
        anchors[name] = true
    end
    return anchors
end

---@param page string
---@param target string a relative path
---@return string # from the root
local function resolve(page, target)
    local path = (page:match("^(.*/)") or "") .. target
    local count
    repeat
        path, count = path:gsub("[^/]+/%.%./", "", 1)
    until count == 0
    return path
end

---@param page string
---@return fun(): string?, string, string # path from the root, what stands behind the #, as written
local function links_of(page)
    local next_link = prose_of(page):gmatch("%]%(([^)]*)%)")
    return function()
        for link in next_link do
            if not link:find("^%a+:") then
                local path, anchor = link:match("^([^#]*)#?(.*)$")
                return path == "" and page or resolve(page, path), anchor, link
            end
        end
    end
end

describe("the documents", function()
    for _, page in ipairs(pages) do
        it(page .. " leads nowhere else than to what is there", function()
            for path, anchor, link in links_of(page) do
                assert(lfs.attributes(helper.root .. "/" .. path), page .. ": " .. link)
                if anchor ~= "" then
                    assert(anchors_of(path)[anchor], page .. ": " .. link)
                end
            end
        end)
    end

    it("are all in docs/README.md", function()
        local listed = {["README.md"] = true, ["docs/README.md"] = true}
        for _, list in ipairs{"docs/README.md", "docs/decisions/README.md"} do
            for path in links_of(list) do
                listed[path] = true
            end
        end
        for _, page in ipairs(pages) do
            assert.is_true(listed[page], page)
        end
    end)

    it("name only examples that are there", function()
        local count = 0
        for _, page in ipairs(pages) do
            for name in prose_of(page):gmatch("`(%d%d%-[%w-]+%.lua)`") do
                assert(lfs.attributes(helper.root .. "/examples/" .. name), page .. ": " .. name)
                count = count + 1
            end
        end
        assert.is_true(count > 5)
    end)
end)
