/*
 * cli.c - reads the command line and says it again as Lua tables.
 *
 * Owns nothing: a struct tk_cli points into main's argv, and nothing needs an end. Must never run a
 * script, nor look at anything but argv and whether standard input is a terminal. Where `lua` has
 * an option too all must be as there, its refusals too: an option has its argument right behind it
 * or in the next word, which must not begin with a dash, and options end at the script, whose own
 * arguments may look like options.
 */
#include "host/cli.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tasklet.h"

static void set_help(struct tk_cli *cli)
{
    cli->help = true;
}

static void set_only_version(struct tk_cli *cli)
{
    cli->only_version = true;
}

static void set_no_warnings(struct tk_cli *cli)
{
    cli->no_warnings = true;
}

/* Reads a time in milliseconds. False: it is none. */
static bool read_time(const char *value, double *ms)
{
    char *end;

    *ms = strtod(value, &end);
    return end != value && *end == '\0' && *ms >= 0 && *ms < 1e9;
}

static bool set_slice(struct tk_cli *cli, const char *value)
{
    return read_time(value, &cli->slice);
}

static bool set_warn_slow(struct tk_cli *cli, const char *value)
{
    return read_time(value, &cli->warn_slow);
}

static void set_virtual_time(struct tk_cli *cli)
{
    cli->virtual_time = true;
}

static void set_blocking_io(struct tk_cli *cli)
{
    cli->blocking_io = true;
}

static bool set_seed(struct tk_cli *cli, const char *value)
{
    char *end;

    errno = 0;
    cli->seed = strtoull(value, &end, 10);
    cli->seeded = true;
    return *value >= '0' && *value <= '9' && *end == '\0' && errno == 0;
}

/* The options that `lua` does not have. */
static const struct long_option {
    const char *name;
    const char *letter; /* a short form, or NULL */
    const char *text;
    void (*set)(struct tk_cli *cli);
    bool (*take)(struct tk_cli *cli, const char *value); /* instead: takes a value */
} long_options[] = {
    {"--help", "-h", "show this text", set_help, NULL},
    {"--version", "-V", "show the version alone and do nothing else", set_only_version, NULL},
    {"--blocking-io", NULL, "os.execute, io.popen and reading io.stdin stop all tasklets",
     set_blocking_io, NULL},
    {"--no-warnings", NULL, "keep warnings off until -W or warn(\"@on\")", set_no_warnings, NULL},
    {"--seed", NULL, "N: draw the order of tasklets that are ready together", NULL, set_seed},
    {"--slice", NULL, "MS: preempt tasklets that run longer without waiting", NULL, set_slice},
    {"--virtual-time", NULL, "time jumps to the next deadline when all wait", set_virtual_time,
     NULL},
    {"--warn-slow", NULL, "MS: warn of tasklets that run longer without waiting, and of more", NULL,
     set_warn_slow},
};

#define LONG_OPTION_COUNT (sizeof(long_options) / sizeof(long_options[0]))

/* The one that is meant by `--name`, or `--name=value` if it takes one. */
static const struct long_option *find_long_option(const char *word)
{
    size_t length = strcspn(word, "=");

    for (size_t i = 0; i < LONG_OPTION_COUNT; i++) {
        const struct long_option *option = &long_options[i];
        if (strncmp(word, option->name, length) == 0 && option->name[length] == '\0' &&
            (word[length] == '\0' || option->take != NULL))
            return option;
        if (option->letter != NULL && strcmp(word, option->letter) == 0) return option;
    }
    return NULL;
}

/* Takes the value of the long option at argv[i]. Returns how many words the two took, or -1. */
static int parse_value(struct tk_cli *cli, int i, const struct long_option *option)
{
    const char *equals = strchr(cli->argv[i], '=');
    const char *value = equals != NULL ? equals + 1 : cli->argv[i + 1];
    if (value == NULL || !option->take(cli, value)) return -1;
    return equals != NULL ? 1 : 2;
}

/* Takes the option at argv[i], of those that `lua` has. Returns how many words it took, or -1. */
static int parse_letter(struct tk_cli *cli, int i)
{
    const char *word = cli->argv[i];
    char letter = word[1];
    if (letter == 'e' || letter == 'l') {
        cli->execute = cli->execute || letter == 'e';
        if (word[2] != '\0') return 1;
        const char *next = cli->argv[i + 1];
        return next == NULL || next[0] == '-' ? -1 : 2;
    }
    if (word[2] != '\0') return -1;
    switch (letter) {
    case 'i':
        cli->interactive = true;
        cli->version = true;
        return 1;
    case 'v':
        cli->version = true;
        return 1;
    case 'E':
        cli->ignore_environment = true;
        return 1;
    case 'W': /* is a step of the plan, in its place among -e and -l */
        return 1;
    default:
        return -1;
    }
}

int tk_cli_parse(struct tk_cli *cli, int argc, char **argv)
{
    *cli = (struct tk_cli){.argc = argc, .argv = argv, .progname = "tasklet"};
    if (argc > 0 && argv[0][0] != '\0') cli->progname = argv[0];
    int i = argc > 0 ? 1 : 0;
    while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0') {
        if (strcmp(argv[i], "--") == 0) {
            cli->stop = true;
            i++;
            break;
        }
        const struct long_option *option = find_long_option(argv[i]);
        int words = 1;
        if (option == NULL)
            words = parse_letter(cli, i);
        else if (option->take == NULL)
            option->set(cli);
        else
            words = parse_value(cli, i, option);
        if (words < 0) {
            cli->bad = argv[i];
            return -1;
        }
        i += words;
    }
    cli->script = i;
    cli->test = !cli->stop && i < argc && strcmp(argv[i], "test") == 0;
    return 0;
}

static void print_usage(FILE *file, const struct tk_cli *cli)
{
    fprintf(file,
            "usage: %s [options] [script [args]]\n"
            "       %s [options] test [busted's arguments]\n"
            "Available options are:\n"
            "  -e stat   execute string 'stat'\n"
            "  -i        enter interactive mode after executing 'script'\n"
            "  -l mod    require library 'mod' into global 'mod'\n"
            "  -l g=mod  require library 'mod' into global 'g'\n"
            "  -v        show version information\n"
            "  -E        ignore environment variables\n"
            "  -W        turn warnings on (they are on unless --no-warnings is given)\n"
            "  --        stop handling options\n"
            "  -         stop handling options and execute stdin\n",
            cli->progname, cli->progname);
    for (size_t i = 0; i < LONG_OPTION_COUNT; i++) {
        const struct long_option *option = &long_options[i];
        const char *letter = option->letter != NULL ? option->letter : "";
        const char *comma = option->letter != NULL ? ", " : "";
        int used = fprintf(file, "  %s%s%s", letter, comma, option->name);
        fprintf(file, "%*s%s\n", used < 18 ? 19 - used : 1, "", option->text);
    }
    fprintf(file,
            "'test' runs specs by busted, their bodies as tasklets and in virtual time; it\n"
            "takes --real-time, --limit SECONDS and --virtual-limit SECONDS, too. A script of\n"
            "that name is run by './test' or '-- test'.\n");
}

void tk_cli_complain(const struct tk_cli *cli)
{
    bool lacks = cli->bad[1] == 'e' || cli->bad[1] == 'l' || find_long_option(cli->bad) != NULL;
    if (lacks) {
        fprintf(stderr, "%s: '%s' needs argument\n", cli->progname, cli->bad);
    } else {
        fprintf(stderr, "%s: unrecognized option '%s'\n", cli->progname, cli->bad);
    }
    print_usage(stderr, cli);
}

void tk_cli_print_help(const struct tk_cli *cli)
{
    print_usage(stdout, cli);
}

void tk_cli_print_version(void)
{
    printf("tasklet %s (%s)\n", tasklet_version(), LUA_RELEASE);
}

void tk_cli_print_banner(void)
{
    printf("tasklet %s  %s\n", tasklet_version(), LUA_COPYRIGHT);
}

/* Without a script, and with nothing else to do, it is standard input that is run. */
static bool wants_input(const struct tk_cli *cli)
{
    return cli->script == cli->argc && !cli->execute && !cli->version;
}

bool tk_cli_wants_prompt(const struct tk_cli *cli)
{
    return cli->interactive || (wants_input(cli) && isatty(STDIN_FILENO));
}

void tk_cli_push_arg(lua_State *L, const struct tk_cli *cli)
{
    int zero = cli->script < cli->argc ? cli->script : 0;
    lua_createtable(L, cli->argc - zero, zero + 1);
    for (int i = 0; i < cli->argc; i++) {
        lua_pushstring(L, cli->argv[i]);
        lua_rawseti(L, -2, i - zero);
    }
}

/* Appends {what, text} to the list on top. */
static void push_step(lua_State *L, const char *what, const char *text)
{
    lua_createtable(L, 2, 0);
    lua_pushstring(L, what);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, text); /* nil for NULL */
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
}

static void push_option_steps(lua_State *L, const struct tk_cli *cli)
{
    for (int i = 1; i < cli->script; i++) {
        const char *word = cli->argv[i];
        char what[2] = {word[1], '\0'};
        const struct long_option *option = find_long_option(word);
        if (option != NULL && option->take != NULL && strchr(word, '=') == NULL) i++;
        if (what[0] == 'e' || what[0] == 'l')
            push_step(L, what, word[2] != '\0' ? word + 2 : cli->argv[++i]);
        else if (what[0] == 'W')
            push_step(L, what, NULL);
    }
}

void tk_cli_push_plan(lua_State *L, const struct tk_cli *cli)
{
    bool prompt = tk_cli_wants_prompt(cli);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, cli->progname);
    lua_setfield(L, -2, "progname");
    lua_pushboolean(L, prompt);
    lua_setfield(L, -2, "interactive");
    lua_pushnumber(L, cli->slice);
    lua_setfield(L, -2, "slice");
    lua_pushnumber(L, cli->warn_slow);
    lua_setfield(L, -2, "warn_slow");

    lua_newtable(L);
    if (!cli->ignore_environment) push_step(L, "init", NULL);
    push_option_steps(L, cli);
    if (cli->test) {
        push_step(L, "test", NULL);
    } else if (cli->script < cli->argc) {
        const char *name = cli->argv[cli->script];
        bool input = strcmp(name, "-") == 0 && !cli->stop;
        push_step(L, "script", input ? NULL : name);
    }
    if (prompt)
        push_step(L, "prompt", NULL);
    else if (wants_input(cli))
        push_step(L, "input", NULL);
    lua_setfield(L, -2, "steps");
}
