/*
 * What scripts may reach. Each row is an attempt to get at something: it must fail where nothing is
 * given, and succeed with all that its kind needs, so that it is known to be an attempt at all.
 */
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "run.h"

/* With these no script gets any further: an attempt that must always fail. */
#define NEVER 0U

static const struct attempt {
    unsigned needs;
    const char *script; /* sets `escaped` to true */
} attempts[] = {
    /* files */
    {TASKLET_FILES, "escaped = io.open('/dev/null') ~= nil"},
    {TASKLET_FILES, "for _ in io.lines('/dev/null') do end escaped = true"},
    {TASKLET_FILES, "escaped = io.type(io.stdout) == 'file'"},
    {TASKLET_FILES, "escaped = io.write('') == io.stdout"},
    {TASKLET_FILES, "escaped = io.output() ~= nil"},
    {TASKLET_FILES, "io.tmpfile():close() escaped = true"},
    {TASKLET_FILES, "local _, text = os.remove('/nowhere/at all') escaped = text ~= nil"},
    {TASKLET_FILES, "local _, text = os.rename('/nowhere/a', '/b') escaped = text ~= nil"},
    {TASKLET_FILES, "local name = os.tmpname() os.remove(name) escaped = true"},
    {TASKLET_FILES, "escaped = loadfile('/dev/null') ~= nil"},
    {TASKLET_FILES, "dofile('/dev/null') escaped = true"},
    {TASKLET_FILES, "escaped = package.searchpath('null', '/dev/?') ~= nil"},
    {TASKLET_FILES, "package.path = '/dev/?' escaped = require 'null'"},
    {TASKLET_FILES, "package.path = '/dev/?' package.searchers[2]('null') escaped = true"},
    {TASKLET_FILES, "escaped = tasklet.WaitForIO(0) ~= nil"},
    {TASKLET_NETWORK, "escaped = tasklet.WaitForIO(0) ~= nil"},
    {TASKLET_FILES, "local fake = { fileno = function() return 0 end }\n"
                    "escaped = tasklet.WaitForIO(fake) ~= nil"},
    {TASKLET_FILES, "local f = io.open escaped = f('/dev/null') ~= nil"},
    {TASKLET_FILES, "for name, f in pairs(io) do\n"
                    "    local ok, file = pcall(name ~= 'write' and f, '/dev/null')\n"
                    "    if ok and io.type(file) then escaped = true end\n"
                    "end"},
    {TASKLET_FILES, "for name, f in pairs(package.loaded.io) do\n"
                    "    local ok, file = pcall(name ~= 'write' and f, '/dev/null')\n"
                    "    if ok and io.type(file) then escaped = true end\n"
                    "end"},
    {TASKLET_FILES, "escaped = tasklet.fs.read_file('/dev/null') == ''"},
    {TASKLET_FILES, "escaped = tasklet.fs.readdir('/') ~= nil"},
    {TASKLET_FILES, "for path in tasklet.fs.walk('/dev/fd') do escaped = path end"},
    {TASKLET_FILES, "escaped = tasklet.stdout ~= nil"},
    {TASKLET_FILES, "escaped = tasklet.stream(10000) ~= nil or true"},
    /* the network */
    {TASKLET_NETWORK, "tasklet.net.listen({ host = '127.0.0.1', port = 0 }):close() escaped = 1"},
    {TASKLET_NETWORK, "tasklet.net.udp({ host = '127.0.0.1', port = 0 }):close() escaped = true"},
    {TASKLET_NETWORK, "local _, text = tasklet.net.connect { path = '/nowhere/at/all' }\n"
                      "escaped = text ~= nil"},
    {TASKLET_NETWORK, "local list, text = tasklet.net.resolve('localhost')\n"
                      "escaped = list or text"},
    /* processes */
    {TASKLET_PROCESSES, "escaped = os.execute() == true"},
    {TASKLET_PROCESSES, "escaped = os.execute('exit 7') == nil"},
    {TASKLET_PROCESSES, "escaped = os.getenv('PATH') ~= nil"},
    {TASKLET_PROCESSES, "escaped = os.setlocale(nil) ~= nil"},
    {TASKLET_PROCESSES, "escaped = tasklet.WaitForProcess(1) ~= nil"},
    {TASKLET_PROCESSES | TASKLET_FILES, "io.popen('true'):close() escaped = true"},
    {TASKLET_PROCESSES, "escaped = tasklet.process.run { 'true' }.ok"},
    /* signals */
    {TASKLET_SIGNALS, "escaped = tasklet.WaitForSignal(tasklet.signals, 'SIGHUP') ~= nil"},
    {TASKLET_SIGNALS, "tasklet.signals:connect('SIGHUP', print) escaped = true"},
    /* bytecode */
    {TASKLET_BYTECODE, "escaped = load(string.dump(function() end)) ~= nil"},
    {TASKLET_BYTECODE, "escaped = load(string.dump(function() end), 'x', 'b') ~= nil"},
    {TASKLET_BYTECODE, "escaped = load(string.dump(function() end), 'x', 'bt', {}) ~= nil"},
    {TASKLET_BYTECODE, "local code = string.dump(function() end)\n"
                       "escaped = load(function()\n"
                       "    local piece = code\n"
                       "    code = nil\n"
                       "    return piece\n"
                       "end) ~= nil"},
    {TASKLET_BYTECODE, "local code, at = string.dump(function() end), 0\n"
                       "escaped = load(function()\n"
                       "    at = at + 1\n"
                       "    return at <= #code and code:sub(at, at) or nil\n"
                       "end, 'x', 'b') ~= nil"},
    {TASKLET_BYTECODE | TASKLET_FILES,
     "local name = os.tmpname()\n"
     "local file <close> = io.open(name, 'w')\n"
     "file:write(string.dump(function() return true end)):close()\n"
     "escaped = (loadfile(name, 'b') or loadfile(name) or load(io.lines(name, 'a')))()\n"
     "os.remove(name)"},
    {TASKLET_BYTECODE | TASKLET_FILES,
     "local name = os.tmpname()\n"
     "local file <close> = io.open(name, 'w')\n"
     "file:write(string.dump(function() return true end)):close()\n"
     "local ok, what = pcall(dofile, name)\n"
     "escaped = ok and what\n"
     "os.remove(name)"},
    {TASKLET_BYTECODE | TASKLET_FILES,
     "local name = os.tmpname()\n"
     "local file <close> = io.open(name, 'w')\n"
     "file:write(string.dump(function() return true end)):close()\n"
     "package.path = '/tmp/?'\n"
     "local ok, what = pcall(require, name:match '[^/]*$')\n"
     "escaped = ok and what\n"
     "os.remove(name)"},
    /* debug */
    {TASKLET_DEBUG, "escaped = debug.getregistry() ~= nil"},
    {TASKLET_DEBUG, "escaped = debug.getinfo(1) ~= nil"},
    {TASKLET_DEBUG, "escaped = debug.getupvalue(load, 1) ~= nil or debug.getlocal(1, 1) ~= nil"},
    {TASKLET_DEBUG, "escaped = debug.setmetatable(1, nil) == 1"},
    {TASKLET_DEBUG, "debug.sethook() escaped = true"},
    {TASKLET_DEBUG, "local me = tasklet.current()\n"
                    "escaped = debug.getmetatable(me).__gc ~= nil"},
    {TASKLET_DEBUG, "getmetatable(tasklet.current()).seen = true\n"
                    "escaped = debug.getmetatable(tasklet.current()).seen"},
    {TASKLET_DEBUG, "escaped = getmetatable(tasklet.current()).__gc ~= nil"},
    {TASKLET_DEBUG, "for _, holder in next, tasklet.Emitter { 'a' } do\n"
                    "    escaped = getmetatable(holder).__gc ~= nil\n"
                    "end\n"
                    "escaped = escaped or getmetatable(tasklet.current()).__gc ~= nil"},
    /* native */
    {TASKLET_NATIVE, "local f, _, where = package.loadlib('/nowhere.so', '*')\n"
                     "escaped = where == 'open'"},
    {TASKLET_NATIVE, "package.cpath = '/nowhere/?.so' package.searchers[3]('x')\n"
                     "escaped = #package.searchers >= 3"},
    {TASKLET_NATIVE, "package.cpath = '/nowhere/?.so'\n"
                     "local _, text = pcall(require, 'nowhere')\n"
                     "escaped = text:find('/nowhere/nowhere.so', 1, true) ~= nil"},
    {TASKLET_ALL, "escaped = require 'luv'.hrtime() > 0"},
    {TASKLET_ALL, "escaped = require 'uv'.hrtime() > 0"},
    {TASKLET_ALL, "escaped = package.preload.luv('luv').hrtime() > 0"},
    {TASKLET_ALL, "escaped = require 'tasklet.testing' ~= nil"},
    /* What the library's own Lua has, by the functions that it finds in global tables. */
    {NEVER, "local function look(t, depth)\n"
            "    if type(t) == 'table' then\n"
            "        if rawget(t, 'script_new') or rawget(t, 'globals') then escaped = true end\n"
            "        if depth > 0 then\n"
            "            for k, v in next, t do look(k, depth - 1) look(v, depth - 1) end\n"
            "        end\n"
            "    end\n"
            "end\n"
            "for _, library in ipairs { _G, table, string, math, coroutine } do\n"
            "    for name, f in pairs(library) do\n"
            "        if type(f) == 'function' and name ~= 'next' and name ~= 'rawget' and\n"
            "            name ~= 'type' and name ~= 'pcall' then\n"
            "            library[name] = function(...)\n"
            "                for i = 1, select('#', ...) do look((select(i, ...)), 3) end\n"
            "                return f(...)\n"
            "            end\n"
            "        end\n"
            "    end\n"
            "end\n"
            "pcall(tasklet.dump, { write = look })\n"
            "pcall(tasklet.set_warn_slow, 1000)\n"
            "pcall(tasklet.scope, function(s) s:run(error, 'x') end)\n"
            "pcall(tasklet.all, { function() end })\n"
            "pcall(require, 'nothing')\n"
            "tasklet.join(tasklet.run(function() tasklet.sleep(0) end))\n"
            "pcall(tasklet.Tasklet.subclass, tasklet.Tasklet, 'C')\n"
            "pcall(tasklet.Emitter, { 'x' })\n"
            "pcall(tasklet.join, tasklet.run(error, {}))"},
    {NEVER, "escaped = rawequal(require, package.loaded._G.require) and\n"
            "    package.loaded.debug.getregistry and pcall(package.loaded.debug.getregistry)"},
    {NEVER, "local co = coroutine.create(function() error(coroutine.running()) end)\n"
            "local _, thread = coroutine.resume(co)\n"
            "escaped = pcall(debug.getlocal, thread, 1, 1) or pcall(debug.getinfo, thread, 1)"},
};

static bool try(unsigned capabilities, const char *script)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    struct tasklet_value escaped;
    char text[4096];
    bool has;

    tasklet_options_init(&options);
    options.capabilities = capabilities;
    snprintf(text, sizeof text, "local tasklet = ...\n%s\n", script);
    host = host_with(&options, text);
    tasklet_host_run(host);
    assert_int_equal(tasklet_global_get(host, "escaped", &escaped), 0);
    has = escaped.type != TASKLET_NIL && (escaped.type != TASKLET_BOOLEAN || escaped.as.boolean);
    tasklet_release(host, &escaped);
    tasklet_host_free(host);
    return has;
}

static void nothing_is_given_by_default(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        if (try(0, attempts[i].script)) {
            fail_msg("this got through:\n%s", attempts[i].script);
        }
    }
}

static void each_capability_gives_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        if (attempts[i].needs != NEVER && !try(attempts[i].needs, attempts[i].script)) {
            fail_msg("this did not get through with capabilities %u:\n%s", attempts[i].needs,
                     attempts[i].script);
        }
    }
}

/* But for those of its own, and the two that can do everything. */
static void no_capability_gives_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        unsigned others = TASKLET_ALL & ~(TASKLET_DEBUG | TASKLET_NATIVE | attempts[i].needs);

        if (strstr(attempts[i].script, "WaitForIO") != NULL) {
            others &= ~(unsigned)(TASKLET_FILES | TASKLET_NETWORK);
        }
        if (strstr(attempts[i].script, "tasklet.stream(") != NULL) {
            others &= ~(unsigned)(TASKLET_NETWORK | TASKLET_PROCESSES);
        }
        if (try(others, attempts[i].script)) {
            fail_msg("this got through with capabilities %u:\n%s", others, attempts[i].script);
        }
    }
}

/* Harmless, and always there. */
static void the_rest_of_lua_is_there(void **state)
{
    char result[200];

    (void)state;
    run(NULL,
        "local t = ...\n"
        "assert(os.time() > 0 and os.date('%Y') and os.clock() >= 0 and os.difftime(2, 1) == 1)\n"
        "assert(load('return 1', '=x', 't', {})() == 1)\n"
        "assert(load(function() return nil end)() == nil)\n"
        "assert(select(2, load('x', '=x', 'b')):find('mode'))\n"
        "assert(debug.traceback('x'):find('stack traceback'))\n"
        "assert(string.dump(function() end):byte() == 27)\n"
        "assert(utf8.char(8364) == '\\u{20ac}' and math.type(1) == 'integer')\n"
        "package.preload.own = function(name) return { name = name } end\n"
        "assert(require 'own'.name == 'own' and require 'tasklet' == t)\n"
        "assert(type(io) == 'table' and not pcall(io.open, '/dev/null'))\n"
        "local object = setmetatable({}, { __gc = function() end })\n"
        "assert(getmetatable(t.channel()).__name == 'channel')\n"
        "result = 'fine'\n",
        result, sizeof result);
    assert_string_equal(result, "fine");
}

static void what_is_refused_says_why_and_where(void **state)
{
    char result[200];

    (void)state;
    run(NULL, "local _, e = pcall(function()\n    io.open('x')\nend)\nresult = tostring(e)", result,
        sizeof result);
    assert_non_null(strstr(result, "]:2: the program has not given access to files "
                                   "(capability 'files')"));
}

/* What the program has put into a state of its own stays there. */
static void a_borrowed_state_keeps_what_it_has(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    lua_State *L = luaL_newstate();

    (void)state;
    assert_non_null(L);
    luaL_openlibs(L);
    tasklet_options_init(&options);
    options.lua = L;
    host = host_with(&options, "local tasklet = ...\n"
                               "assert(io.open('/dev/null')):close()\n"
                               "assert(load(string.dump(function() end)))\n"
                               "assert(debug.getregistry() and os.getenv)\n"
                               "assert(not pcall(tasklet.WaitForProcess, 1))\n"
                               "assert(not pcall(require, 'luv'))\n");
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_host_free(host);
    lua_close(L);
}

static void a_program_loads_what_it_likes(void **state)
{
    struct tasklet_host *host;
    struct tasklet_value function;
    char name[] = "/tmp/tasklet-capabilities-XXXXXX";
    int fd = mkstemp(name);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "return 1", 8), 8);
    close(fd);
    assert_int_equal(tasklet_host_new(NULL, &host), 0);
    assert_int_equal(tasklet_load_file(host, name, &function), 0);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_buffer(host, "\033Lua", 4, "=x", &function), TASKLET_EDENIED);
    assert_non_null(strstr(tasklet_host_error(host), "binary chunk"));
    tasklet_host_free(host);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_given_by_default),
        cmocka_unit_test(each_capability_gives_what_it_says),
        cmocka_unit_test(no_capability_gives_more),
        cmocka_unit_test(the_rest_of_lua_is_there),
        cmocka_unit_test(what_is_refused_says_why_and_where),
        cmocka_unit_test(a_borrowed_state_keeps_what_it_has),
        cmocka_unit_test(a_program_loads_what_it_likes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
