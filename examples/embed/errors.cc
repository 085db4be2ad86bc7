// errors.cc - in C++: a host that is freed by its owner, and that tells of errors by a function.
//
// Needs: lua5.4

#include <iostream>
#include <lua.hpp>
#include <memory>
#include <string>
#include <tasklet.h>
#include <vector>

namespace
{

struct host_free {
    void operator()(tasklet_host *host) const
    {
        tasklet_host_free(host);
    }
};

using host_ptr = std::unique_ptr<tasklet_host, host_free>;

// No exception may leave it: there is C above.
void on_error(void *context, const char *text) noexcept
{
    static_cast<std::vector<std::string> *>(context)->emplace_back(text);
}

host_ptr make_host(std::vector<std::string> &errors)
{
    tasklet_options options;
    tasklet_host *host = nullptr;

    tasklet_options_init(&options);
    options.context = &errors;
    options.on_error = on_error;
    int status = tasklet_host_new(&options, &host);
    if (status < 0) std::cerr << "errors: " << tasklet_strerror(status) << '\n';
    return host_ptr(host);
}

const char script[] = R"(
local tasklet = require "tasklet"
tasklet.new(function() error("no such luck", 0) end, {name = "unlucky"}):start()
print "the others go on"
)";

} // namespace

int main()
{
    std::vector<std::string> errors;
    host_ptr host = make_host(errors);
    if (!host) return 1;

    lua_State *L = tasklet_host_lua(host.get());
    if (luaL_loadstring(L, script) != LUA_OK) {
        std::cerr << "errors: " << lua_tostring(L, -1) << '\n';
        return 1;
    }
    int status = tasklet_host_start(host.get(), 0);
    if (status >= 0) status = tasklet_host_run(host.get());
    for (const std::string &text : errors)
        std::cout << text.substr(0, text.find('\n')) << '\n';
    std::cout << "status " << status << '\n';
}
