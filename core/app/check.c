/* check.c: loads, looks, writes down.
 *
 * As compilers do it: file:line:column: error: message, the line, and a mark below it. */
#include "app/check.h"

#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/errors.h"

enum { MOST_LINE = 160 }; /* bytes of a line that are shown */

struct check {
    struct tw_app app;
    struct tw_generation *generation; /* NULL: it does not load */
    struct tw_vm **vms;
    size_t vm_count;
    struct tw_load_errors errors, warnings;
    struct tw_buf out, text;
    const char *text_of; /* the file whose text `text` is; borrows from a mistake */
};

/* One mistake, with its place in the source. */
struct place {
    int column; /* 0: not known */
    int length;
    struct tw_str line;
};

static struct place find_place(struct check *check, const struct tw_load_error *error);
static void find_columns(struct check *check, struct tw_load_errors *list);
static void read_text(struct check *check, const char *file);
static void write_json(struct check *check, bool is_ok);
static void write_text(struct check *check);

int tw_check_app(const struct tidewire_options *options, bool as_json, bool is_strict, FILE *out) {
    struct check check = {.app = {.path = options->app ? options->app : TW_SCRIPTS_DIR "/default",
                                  .overrides = options->overrides,
                                  .override_count = options->override_count,
                                  .scripts_dir = TW_SCRIPTS_DIR}};
    char *why = NULL;
    tw_log_set_level(TW_LOG_WARN); /* what files print is not asked for here */
    bool is_ok = tw_app_load(&check.app, 1, 0, &check.generation, &check.vms, &check.vm_count,
                             &check.errors) == 0;
    if (check.vm_count > 0 &&
        tw_vm_lint(check.vms[0], check.app.scripts_dir, &check.warnings, &why) != 0) {
        fprintf(stderr, "tidewire: cannot look for warnings: %s\n", why);
        is_ok = false;
    }
    find_columns(&check, &check.errors);
    find_columns(&check, &check.warnings);
    if (is_strict && check.warnings.count > 0) is_ok = false;
    if (as_json) {
        write_json(&check, is_ok);
    } else {
        write_text(&check);
    }
    fwrite(check.out.data, 1, check.out.length, out);
    tw_free(why);
    for (size_t i = 0; i < check.vm_count; i++)
        tw_vm_free(check.vms[i]);
    tw_free(check.vms);
    tw_generation_unref(&check.generation);
    tw_load_errors_deinit(&check.errors);
    tw_load_errors_deinit(&check.warnings);
    tw_buf_deinit(&check.out);
    tw_buf_deinit(&check.text);
    return is_ok ? 0 : 1;
}

static struct place find_place(struct check *check, const struct tw_load_error *error) {
    struct place place;
    read_text(check, error->file);
    struct tw_str text = {check->text.data ? check->text.data : "", check->text.length};
    place.column = tw_load_error_column(error, text, &place.line, &place.length);
    return place;
}

static void find_columns(struct check *check, struct tw_load_errors *list) {
    for (size_t i = 0; i < list->count; i++)
        list->items[i].column = find_place(check, &list->items[i]).column;
    check->text_of = NULL; /* the list is about to move */
    tw_errors_sort(list);
}

/* The file as it is now; nothing if it is not to be had, as for mistakes in "-D". */
static void read_text(struct check *check, const char *file) {
    struct stat status;
    if (check->text_of && strcmp(check->text_of, file) == 0) return;
    check->text_of = file;
    check->text.length = 0;
    bool is_folder = stat(check->app.path, &status) == 0 && S_ISDIR(status.st_mode);
    char *path =
        is_folder ? tw_format("%s/%s", check->app.path, file) : tw_format("%s", check->app.path);
    FILE *in = fopen(path, "rb");
    tw_free(path);
    if (!in) return;
    for (size_t got = 1; got > 0 && tw_buf_try_reserve(&check->text, 65536) == 0;) {
        got = fread(check->text.data + check->text.length, 1, 65536, in);
        check->text.length += got;
    }
    fclose(in);
}

/* --- as JSON --- */

static void write_text_field(struct tw_buf *out, const char *before, const char *text,
                             size_t length) {
    tw_buf_print(out, "%s", before);
    tw_buf_json_string(out, text, length);
}

static void write_findings(struct check *check, const char *name,
                           const struct tw_load_errors *list) {
    struct tw_buf *out = &check->out;
    tw_buf_print(out, ",\"%s\":[", name);
    for (size_t i = 0; i < list->count; i++) {
        const struct tw_load_error *error = &list->items[i];
        struct place place = find_place(check, error);
        write_text_field(out, i > 0 ? ",{\"file\":" : "{\"file\":", error->file,
                         strlen(error->file));
        tw_buf_print(out, ",\"line\":%d,\"column\":%d", error->line, place.column);
        write_text_field(out, ",\"message\":", error->message, strlen(error->message));
        write_text_field(out, ",\"source\":", place.line.data, place.line.length);
        tw_buf_print(out, "}");
    }
    tw_buf_print(out, "]");
}

static void write_hooks(struct check *check, size_t index, const char *format, const char *gap) {
    const char *name, *before = "";
    for (unsigned hook = 0;; hook++) {
        bool has = tw_vm_definition_has(check->vms[0], index, hook, &name);
        if (!name) return;
        if (!has) continue;
        tw_buf_print(&check->out, "%s", before);
        tw_buf_print(&check->out, format[0] == '"' ? "\"%s\"" : "%s", name);
        before = gap;
    }
}

static void write_channel(struct check *check, size_t index) {
    static const char *const publish[] = {"false", "true", "\"authorize\""};
    const struct tw_definition *definition = &check->generation->definitions[index];
    const char *file = tw_vm_definition_file(check->vms[0], index);
    struct tw_buf *out = &check->out;
    write_text_field(out, "{\"name\":", definition->name, strlen(definition->name));
    write_text_field(out, ",\"file\":", file, strlen(file));
    tw_buf_print(out, ",\"hooks\":[");
    write_hooks(check, index, "\"", ",");
    tw_buf_print(out, "],\"publish\":%s,\"queue\":{\"size\":%u,\"overflow\":\"%s\"",
                 publish[definition->publish], definition->queue.size,
                 tw_reader_overflows[definition->queue.overflow]);
    if (definition->key_field) {
        write_text_field(out, ",\"key\":", definition->key_field, strlen(definition->key_field));
    }
    tw_buf_print(out, "}");
    if (definition->tick_ms > 0) {
        tw_buf_print(out, ",\"tick\":%g", (double)definition->tick_ms / 1000);
    }
    tw_buf_print(out, "}");
}

static void write_json(struct check *check, bool is_ok) {
    const struct tw_generation *generation = check->generation;
    struct tw_buf *out = &check->out;
    tw_buf_print(out, "{\"ok\":%s", is_ok ? "true" : "false");
    write_text_field(out, ",\"app\":", check->app.path, strlen(check->app.path));
    write_findings(check, "errors", &check->errors);
    write_findings(check, "warnings", &check->warnings);
    tw_buf_print(out, ",\"auth\":%s,\"channels\":[",
                 generation && generation->has_auth ? "true" : "false");
    for (size_t i = 0; generation && i < generation->definition_count; i++) {
        tw_buf_print(out, "%s", i > 0 ? "," : "");
        write_channel(check, i);
    }
    tw_buf_print(out, "],\"settings\":{");
    for (size_t i = 0; generation && i < generation->given_count; i++)
        tw_buf_print(out, "%s\"%s\":%s", i > 0 ? "," : "", generation->given[i].path,
                     generation->given[i].value);
    tw_buf_print(out, "}}\n");
}

/* --- for people --- */

/* The line, and below it where the word is. Bytes that a terminal would obey become '?'. */
static void show_line(struct tw_buf *out, int number, const struct place *place) {
    if (place->column <= 0 || place->column > MOST_LINE || place->line.length == 0) return;
    size_t length = place->line.length < MOST_LINE ? place->line.length : MOST_LINE;
    size_t before = (size_t)place->column - 1, marks = (size_t)place->length;
    tw_buf_print(out, "%5d | ", number);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)place->line.data[i];
        tw_buf_print(out, "%c", (c < ' ' && c != '\t') || c == 0x7F ? '?' : c);
    }
    tw_buf_print(out, "\n      | ");
    for (size_t i = 0; i < before && i < length; i++) {
        unsigned char c = (unsigned char)place->line.data[i];
        if ((c & 0xC0) == 0x80) continue; /* the rest of a character */
        tw_buf_print(out, "%c", c == '\t' ? '\t' : ' ');
    }
    tw_buf_print(out, "^");
    for (size_t i = 1; i < marks && before + i < length; i++)
        tw_buf_print(out, "~");
    tw_buf_print(out, "\n");
}

static void show_findings(struct check *check, const char *kind,
                          const struct tw_load_errors *list) {
    struct tw_buf *out = &check->out;
    for (size_t i = 0; i < list->count; i++) {
        const struct tw_load_error *error = &list->items[i];
        struct place place = find_place(check, error);
        tw_buf_print(out, "%s:", error->file);
        if (error->line > 0) tw_buf_print(out, "%d:", error->line);
        if (place.column > 0) tw_buf_print(out, "%d:", place.column);
        tw_buf_print(out, " %s: %s\n", kind, error->message);
        show_line(out, error->line, &place);
    }
}

static void show_channels(struct check *check) {
    const struct tw_generation *generation = check->generation;
    struct tw_buf *out = &check->out;
    tw_buf_print(out, "channels:%s\n", generation->definition_count > 0 ? "" : " none");
    for (size_t i = 0; i < generation->definition_count; i++) {
        const struct tw_definition *definition = &generation->definitions[i];
        tw_buf_print(out, "  %-16s %s, queue %u %s", definition->name,
                     tw_vm_definition_file(check->vms[0], i), definition->queue.size,
                     tw_reader_overflows[definition->queue.overflow]);
        if (definition->key_field) tw_buf_print(out, " by %s", definition->key_field);
        tw_buf_print(out, ", hooks: ");
        size_t before = out->length;
        write_hooks(check, i, "", " ");
        tw_buf_print(out, out->length == before ? "none\n" : "\n");
    }
    tw_buf_print(out, "auth: %s\n", generation->has_auth ? "yes" : "none, all may connect");
}

static void show_settings(struct check *check) {
    const struct tw_generation *generation = check->generation;
    tw_buf_print(&check->out, "settings that differ from the defaults:%s\n",
                 generation->given_count > 0 ? "" : " none");
    for (size_t i = 0; i < generation->given_count; i++)
        tw_buf_print(&check->out, "  %s = %s\n", generation->given[i].path,
                     generation->given[i].value);
}

static void write_text(struct check *check) {
    size_t errors = check->errors.count, warnings = check->warnings.count;
    show_findings(check, "error", &check->errors);
    show_findings(check, "warning", &check->warnings);
    if (check->generation) {
        show_channels(check);
        show_settings(check);
    }
    tw_buf_print(&check->out, "%s: %zu error%s, %zu warning%s\n", check->app.path, errors,
                 errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
}
