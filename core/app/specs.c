/* specs.c: finds tidewire-test, sets the scene, and becomes it. */
#include "app/specs.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* What specs find in their environment; scripts/tidewire/{sim,live}.lua read it. */
static void set_environment(const char *binary) {
    char folder[PATH_MAX];
    setenv("TIDEWIRE_BIN", binary, 1);
    if (getcwd(folder, sizeof folder)) setenv("TIDEWIRE_APP", folder, 1);
}

/* Without a file or a folder among them, busted runs the folder spec. */
static char **arguments(char *runner, char **rest) {
    size_t count = 0;
    while (rest[count])
        count++;
    char **list = tw_alloc((count + 3) * sizeof(char *));
    list[0] = runner;
    list[1] = (char *)(uintptr_t)TW_SCRIPTS_DIR;
    memcpy(list + 2, rest, (count + 1) * sizeof(char *));
    return list;
}

/* Goes to the app's folder; false with a complaint if there are no specs to run. */
static bool enter(const char *app) {
    struct stat info;
    if (app && stat(app, &info) == 0 && !S_ISDIR(info.st_mode)) {
        fprintf(stderr,
                "tidewire: cannot test %s: it is no folder (one file of an app in this folder: "
                "tidewire test . %s)\n",
                app, app);
        return false;
    }
    if (app && chdir(app) < 0) {
        fprintf(stderr, "tidewire: cannot test %s: %s\n", app, strerror(errno));
        return false;
    }
    if (stat("spec", &info) < 0 || !S_ISDIR(info.st_mode)) {
        fprintf(stderr,
                "tidewire: no specs: %s has no folder spec (put NAME_spec.lua into it; see "
                "\"Testing your channels\" in README.md)\n",
                app ? app : "this folder");
        return false;
    }
    return true;
}

int tw_run_specs(const char *app, char **rest) {
    char binary[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", binary, sizeof binary - 1);
    if (length < 0) return 1;
    binary[length] = '\0';
    if (!enter(app)) return 1;
    set_environment(binary);
    char *runner = tw_format("%s-test", binary), **list = arguments(runner, rest);
    execv(runner, list);
    fprintf(stderr, "tidewire: cannot run %s, which comes with tidewire: %s\n", runner,
            strerror(errno));
    tw_free(list);
    tw_free(runner);
    return 1;
}
