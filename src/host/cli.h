/*
 * cli.h - the command line of the program `tasklet`, which is that of `lua` and a few long options.
 */
#ifndef TK_HOST_CLI_H
#define TK_HOST_CLI_H

#include <stdbool.h>

struct lua_State;

struct tk_cli {
    int argc;
    char **argv; /* borrowed from main */
    const char *progname;
    int script; /* index of the script in argv, or of the verb; argc if there is none */
    bool test;  /* it is the verb "test" */
    bool stop;  /* "--" stood before the script: a "-" is then a file of that name */
    bool execute, interactive, version, ignore_environment; /* -e, -i, -v (-i implies it), -E */
    bool help, only_version, no_warnings, blocking_io;
    double slice;     /* --slice: milliseconds; 0: none */
    double warn_slow; /* --warn-slow: milliseconds; 0: off */
    bool virtual_time, seeded;
    unsigned long long seed; /* --seed, if `seeded` */
    const char *bad; /* an option that there is not, or that lacks its argument; else NULL */
};

/* Reads the command line. Nothing is done yet, and nothing is copied. Negative if `bad` is set. */
int tk_cli_parse(struct tk_cli *cli, int argc, char **argv);

/* Writes to standard error what is wrong with the option `bad`, and how to call the program. */
void tk_cli_complain(const struct tk_cli *cli);

/* Write to standard output: how to call the program; the version alone; and with Lua's notice. */
void tk_cli_print_help(const struct tk_cli *cli);
void tk_cli_print_version(void);
void tk_cli_print_banner(void);

/* Whether a prompt is to be shown, after the script or in place of one. */
bool tk_cli_wants_prompt(const struct tk_cli *cli);

/* Pushes the table `arg`. May raise. */
void tk_cli_push_arg(struct lua_State *L, const struct tk_cli *cli);

/* Pushes the table that run.lua takes: `progname`, and in `steps` what is to be done, in order. May
 * raise. */
void tk_cli_push_plan(struct lua_State *L, const struct tk_cli *cli);

#endif
