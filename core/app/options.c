/* options.c: reads the command line; knows what near miss was meant. */
#include "app/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

static const char *const commands[] = {"run", "check", "test", "bench", "version", "help", NULL};
static const char *const run_options[] = {"-D",         "--admin", "--admin-key", "--log-level",
                                          "--no-watch", "--help",  NULL};
static const char *const check_options[] = {"-D", "--json", "--strict", "--help", NULL};

void tw_options_help(FILE *out) {
    fputs(
        "usage: tidewire run [APP] [options]   serve an app (a folder, or one Lua file)\n"
        "       tidewire check [APP] [options]   say what is wrong with an app; exit code 1 if it\n"
        "                                        would not load\n"
        "       tidewire test [APP] [busted's options and files]   run the specs in APP/spec\n"
        "       tidewire bench WORKLOAD URL [options]   put load on a server (bench --help)\n"
        "       tidewire version\n"
        "       tidewire help\n"
        "\n"
        "options of run:\n"
        "  -D KEY=VALUE        a setting of broker.lua, e.g. -D listen=127.0.0.1:9000\n"
        "  --admin ADDRESS     where the admin API listens (default 127.0.0.1:8081; off: nowhere)\n"
        "  --admin-key KEY     its bearer token (default: the environment's TIDEWIRE_ADMIN_KEY)\n"
        "  --log-level LEVEL   error, warn, info or debug (default info)\n"
        "  --no-watch          do not reload when files change\n"
        "\n"
        "options of check:\n"
        "  -D KEY=VALUE        as above\n"
        "  --json              for programs\n"
        "  --strict            exit code 1 for warnings, too\n"
        "\n"
        "Without APP the built-in default app runs. SIGHUP reloads, SIGTERM drains and stops.\n",
        out);
}

static int unknown(FILE *err, const char *what, const char *given, const char *const *known) {
    const char *near = tw_str_nearest(given, known);
    fprintf(err, "tidewire: unknown %s %s", what, given);
    if (near) fprintf(err, " (did you mean %s?)", near);
    fputs("; tidewire help lists them\n", err);
    return TW_EUSAGE;
}

static int add_override(struct tw_options *options, const char *text, FILE *err) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        fprintf(err, "tidewire: -D takes KEY=VALUE, as in -D limits.messages.rate=10; got: %s\n",
                text);
        return TW_EUSAGE;
    }
    size_t count = options->broker.override_count;
    options->overrides = tw_realloc(options->overrides, (count + 1) * sizeof *options->overrides);
    options->overrides[count] = text;
    options->broker.overrides = options->overrides;
    options->broker.override_count = count + 1;
    return 0;
}

/* Takes "--name value" and "--name=value"; NULL with a complaint if there is no value. */
static const char *value_of(const char *name, const char *inline_value, char ***arg, FILE *err) {
    if (inline_value) return inline_value;
    if ((*arg)[1]) return *++*arg;
    fprintf(err, "tidewire: %s takes a value\n", name);
    return NULL;
}

static int set_level(const char *name, FILE *err) {
    enum tw_log_level level;
    if (tw_log_level_parse(name, &level) != 0) {
        fprintf(err, "tidewire: --log-level is error, warn, info or debug; got: %s\n", name);
        return TW_EUSAGE;
    }
    tw_log_set_level(level);
    return 0;
}

static bool is_among(const char *name, const char *const *known) {
    while (*known && strcmp(*known, name) != 0)
        known++;
    return *known != NULL;
}

static int parse_option(struct tw_options *options, char ***arg, const char *const *known,
                        FILE *err) {
    char *text = **arg;
    if (strncmp(text, "-D", 2) == 0) {
        const char *value = value_of("-D", text[2] ? text + 2 : NULL, arg, err);
        return value ? add_override(options, value, err) : TW_EUSAGE;
    }
    char *equals = strchr(text, '=');
    char *name = tw_memdup(text, equals ? (size_t)(equals - text) : strlen(text));
    const char *value = NULL, *given = equals ? equals + 1 : NULL;
    int status = 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        options->command = TW_COMMAND_HELP;
    } else if (!is_among(name, known)) {
        status = unknown(err, "option", name, known);
    } else if (strcmp(name, "--json") == 0) {
        options->json = true;
    } else if (strcmp(name, "--strict") == 0) {
        options->strict = true;
    } else if (strcmp(name, "--no-watch") == 0) {
        options->broker.watch = 0;
    } else if (strcmp(name, "--admin") == 0) {
        options->broker.admin = value = value_of(name, given, arg, err);
        if (!value) status = TW_EUSAGE;
    } else if (strcmp(name, "--admin-key") == 0) {
        options->broker.admin_key = value = value_of(name, given, arg, err);
        if (!value) status = TW_EUSAGE;
    } else if (strcmp(name, "--log-level") == 0) {
        value = value_of(name, given, arg, err);
        status = value ? set_level(value, err) : TW_EUSAGE;
    }
    tw_free(name);
    return status;
}

/* `arg` is the command; one app and options follow. */
static int parse_app(struct tw_options *options, char **arg, const char *const *known, FILE *err) {
    const char *command = *arg++;
    for (; *arg; arg++) {
        if ((*arg)[0] == '-' && (*arg)[1]) {
            int status = parse_option(options, &arg, known, err);
            if (status != 0) return status;
        } else if (options->broker.app) {
            fprintf(err, "tidewire: %s takes one app; got %s and %s\n", command,
                    options->broker.app, *arg);
            return TW_EUSAGE;
        } else {
            options->broker.app = *arg;
        }
    }
    return 0;
}

int tw_options_parse(struct tw_options *options, int argc, char **argv, FILE *err) {
    *options = (struct tw_options){.command = TW_COMMAND_HELP};
    options->broker.admin_key = getenv("TIDEWIRE_ADMIN_KEY");
    options->broker.signals = options->broker.watch = 1;
    if (argc < 2) {
        tw_options_help(err);
        return TW_EUSAGE;
    }
    const char *command = argv[1];
    if (strcmp(command, "run") == 0) {
        options->command = TW_COMMAND_RUN;
        return parse_app(options, argv + 1, run_options, err);
    }
    if (strcmp(command, "check") == 0) {
        options->command = TW_COMMAND_CHECK;
        return parse_app(options, argv + 1, check_options, err);
    }
    if (strcmp(command, "test") == 0) {
        options->command = TW_COMMAND_TEST;
        options->rest = argv + 2;
        if (argv[2] && argv[2][0] != '-') options->broker.app = *options->rest++;
        return 0;
    }
    if (strcmp(command, "bench") == 0) {
        options->command = TW_COMMAND_BENCH;
        options->rest = argv + 2;
        return 0;
    }
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        options->command = TW_COMMAND_VERSION;
        return 0;
    }
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0)
        return 0;
    return unknown(err, "command", command, commands);
}

void tw_options_deinit(struct tw_options *options) {
    tw_free(options->overrides);
}
