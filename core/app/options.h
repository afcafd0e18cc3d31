/* options.h: the command line. */
#ifndef TW_APP_OPTIONS_H
#define TW_APP_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "tidewire/tidewire.h"

enum tw_command {
    TW_COMMAND_RUN,
    TW_COMMAND_CHECK,
    TW_COMMAND_TEST,
    TW_COMMAND_BENCH,
    TW_COMMAND_VERSION,
    TW_COMMAND_HELP
};

struct tw_options {
    enum tw_command command;
    struct tidewire_options broker; /* texts borrow from argv and the environment */
    const char **overrides;         /* owned */
    bool json, strict;              /* of check */
    char **rest;                    /* of test and bench: their own arguments, ended by NULL */
};

/* 0, or TW_EUSAGE with one line on `err` that names the mistake. */
int tw_options_parse(struct tw_options *options, int argc, char **argv, FILE *err);
void tw_options_deinit(struct tw_options *options);
void tw_options_help(FILE *out);

#endif
