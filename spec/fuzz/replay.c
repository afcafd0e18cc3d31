/* replay.c: the main of a fuzzer where there is no libFuzzer: runs each input that is named, or
 * that lies in a folder that is named, once. */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

static size_t inputs;

static void replay_file(const char *path) {
    uint8_t *bytes = NULL;
    size_t length = 0, got = 1;
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    while (got > 0) {
        bytes = (uint8_t *)tw_realloc(bytes, length + 4096);
        got = fread(bytes + length, 1, 4096, file);
        length += got;
    }
    fclose(file);
    uint8_t *exact = (uint8_t *)tw_alloc(length); /* a read beyond it is seen */
    memcpy(exact, bytes, length);
    tw_free(bytes);
    /* Before it runs: it may be the last that is heard of it. */
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, length);
    tw_free(exact);
    inputs++;
}

int main(int argc, char **argv) {
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        int count = scandir(argv[i], &entries, NULL, alphasort);
        if (count < 0 && errno == ENOENT) continue; /* no failures: no folder */
        if (count < 0) replay_file(argv[i]);
        for (int j = 0; j < count; j++) {
            char *path = tw_format("%s/%s", argv[i], entries[j]->d_name);
            if (entries[j]->d_name[0] != '.') replay_file(path);
            tw_free(path);
            free(entries[j]);
        }
        if (count >= 0) free(entries);
    }
    printf("%zu inputs\n", inputs);
    return 0;
}
