/*
 * invoke N: what a call from C into Lua and back costs by tasklet_invoke, with an integer as
 * argument and as result.
 */

#include "../limits/limit.h"

#include "tasklet.h"

int main(int argc, char **argv)
{
    long calls = count_argument(argc, argv, 1);
    struct tasklet_value maker, function, argument, result;
    struct tasklet_host *host;
    long long sum = 0;

    check(tasklet_host_new(NULL, &host) == 0, "there is a host");
    check(tasklet_load_string(host, "return function(n) return n + 1 end", "=f", &maker) == 0 &&
              tasklet_invoke(host, &maker, NULL, 0, &function, 1) == 1,
          "there is a function");
    double start = now_ns();
    for (long i = 0; i < calls; i++) {
        argument = tasklet_integer(i);
        check(tasklet_invoke(host, &function, &argument, 1, &result, 1) == 1, "the call succeeds");
        sum += result.as.integer;
    }
    double elapsed = now_ns() - start;
    check(sum == (long long)calls * (calls + 1) / 2, "the sum of the results");
    report("invoke", elapsed / (double)calls, "ns");
    tasklet_release(host, &maker);
    tasklet_release(host, &function);
    tasklet_host_free(host);
    return 0;
}
