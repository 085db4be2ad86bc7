/*
 * hello.c - the smallest program that embeds: it runs a script, and what that starts, to the end.
 *
 * Needs: lua5.4
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <tasklet.h>

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "tasklet.run(function()\n"
                             "    tasklet.sleep(0.01)\n"
                             "    print('world')\n"
                             "end)\n"
                             "print('hello')\n";

int main(void)
{
    struct tasklet_host *host;
    int status = tasklet_host_new(NULL, &host);

    if (status < 0) {
        fprintf(stderr, "hello: %s\n", tasklet_strerror(status));
        return 1;
    }
    if (luaL_loadstring(tasklet_host_lua(host), script) != LUA_OK) {
        fprintf(stderr, "hello: %s\n", lua_tostring(tasklet_host_lua(host), -1));
        status = 1;
    } else {
        status = tasklet_host_start(host, 0);
        if (status >= 0) status = tasklet_host_run(host);
        if (status < 0) fprintf(stderr, "hello: %s\n", tasklet_strerror(status));
    }
    tasklet_host_free(host);
    return status < 0 ? 1 : status;
}
