// cxx.cc - in C++: a host and a reference that are freed by their owners, errors as exceptions, and
// what scripts leave behind as strings of C++.

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <tasklet.h>
#include <utility>
#include <vector>

namespace
{

struct host_free {
    void operator()(tasklet_host *host) const noexcept
    {
        tasklet_host_free(host);
    }
};
using host_ptr = std::unique_ptr<tasklet_host, host_free>;

struct drop {
    void operator()(tasklet *t) const noexcept
    {
        tasklet_drop(t);
    }
};
using tasklet_ptr = std::unique_ptr<tasklet, drop>;

// A value that is released by its owner; moved, not copied.
class value
{
    tasklet_host *host_;
    tasklet_value value_ = tasklet_nil();

  public:
    explicit value(tasklet_host *host) : host_(host)
    {
    }
    value(value &&other) noexcept : host_(other.host_), value_(other.value_)
    {
        other.value_ = tasklet_nil();
    }
    value &operator=(value &&other) noexcept
    {
        std::swap(host_, other.host_);
        std::swap(value_, other.value_);
        return *this;
    }
    ~value()
    {
        tasklet_release(host_, &value_);
    }
    tasklet_value *get()
    {
        return &value_;
    }
    std::string text() const
    {
        if (value_.type != TASKLET_STRING) throw std::runtime_error("no string");
        return std::string(value_.as.bytes, value_.length);
    }
};

// Throws what went wrong with the last call. Never across the library: callbacks are noexcept.
int check(tasklet_host *host, int rc)
{
    if (rc < 0) throw std::runtime_error(tasklet_host_error(host));
    return rc;
}

host_ptr make_host(std::vector<std::string> &errors)
{
    tasklet_options options;
    tasklet_host *host = nullptr;

    tasklet_options_init(&options);
    options.context = &errors;
    options.on_error = [](void *context, const char *text) noexcept {
        static_cast<std::vector<std::string> *>(context)->emplace_back(text);
    };
    int rc = tasklet_host_new(&options, &host);
    if (rc < 0) throw std::runtime_error(tasklet_strerror(rc));
    return host_ptr(host);
}

tasklet_ptr start(tasklet_host *host, const std::string &text)
{
    value function(host);
    tasklet *t = nullptr;

    check(host, tasklet_load_buffer(host, text.data(), text.size(), "=script", function.get()));
    check(host, tasklet_start(host, nullptr, function.get(), nullptr, 0, &t));
    return tasklet_ptr(t);
}

} // namespace

int main()
{
    std::vector<std::string> errors;
    host_ptr host = make_host(errors);
    tasklet_ptr greeter = start(host.get(), "require 'tasklet'.sleep(0.001) return 'hello'");
    tasklet_ptr unlucky = start(host.get(), "error('no such luck', 0)");

    std::cout << "status " << tasklet_host_run(host.get()) << '\n';
    value result(host.get());
    check(host.get(), tasklet_results(greeter.get(), result.get(), 1));
    std::cout << result.text() << '\n';
    for (const std::string &text : errors) // nobody had looked at it when it failed
        std::cout << text.substr(0, text.find('\n')) << '\n';
    try {
        start(host.get(), "x = = 1");
    } catch (const std::runtime_error &error) {
        std::cout << "caught: " << error.what() << '\n';
    }
}
