/* static.c: GET and HEAD of files below public/, read anew at each request.
 *
 * Reading is done on the loop: the files of a page are few and in the page cache.
 *
 * The kernel keeps requests inside the folder: openat2 with RESOLVE_BENEATH refuses "..", absolute
 * links and links that lead out, whatever the spelling. Hidden files are not served. */
#include "app/static.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto/http.h"

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/markdown; charset=utf-8"},
    {".csv", "text/csv; charset=utf-8"},
    {".xml", "application/xml"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".avif", "image/avif"},
    {".ico", "image/x-icon"},
    {".woff", "font/woff"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".pdf", "application/pdf"},
};

static const char *type_of(const char *path) {
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(ending, types[i].ending) == 0) return types[i].type;
    return "application/octet-stream";
}

/* The descriptor, or -1. */
static int open_beneath(const char *folder, const char *path) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -1;
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    close(root);
    return fd;
}

static const char index_name[] = "/index.html";

/* The file's path below the folder: 0 and *out owned, 404 for one that is not served, or 503.
 * Behind the path there is room for index_name once more. */
static int file_path(struct tw_str path, char **out) {
    size_t length = path.length - 1;
    const char *from = path.data + 1;
    bool is_folder = path.data[length] == '/';
    if (memchr(from, '\0', length) || memmem(path.data, path.length, "/.", 2)) return 404;
    char *name = *out = tw_try_alloc(length + 2 * sizeof index_name);
    if (!name) return 503;
    memcpy(name, from, length);
    if (is_folder) memcpy(name + length, index_name + 1, sizeof index_name - 1);
    return 0;
}

static bool has_etag(struct tw_str list, const char *etag) {
    if (!list.data) return false;
    while (list.data) {
        struct tw_str one = tw_str_trim(tw_str_cut(&list, ','));
        if (tw_str_starts(one, TW_STR("W/"))) one.data += 2, one.length -= 2;
        if (tw_str_eq(one, TW_STR("*")) || tw_str_eq(one, tw_str_of(etag))) return true;
    }
    return false;
}

static int64_t read_file(void *fd, void *bytes, size_t size) {
    ssize_t length;
    do {
        length = read((int)(intptr_t)fd, bytes, size);
    } while (length < 0 && errno == EINTR);
    return length;
}

static void close_file(void *fd) {
    close((int)(intptr_t)fd);
}

/* Takes the descriptor. */
static void respond_file(struct tw_session *session, const struct tw_http_request *request, int fd,
                         const struct stat *info, const char *path) {
    char etag[64], headers[160];
    struct tw_http_response response = {.status = 200, .type = type_of(path), .headers = headers};
    struct tw_http_source source = {.read = read_file,
                                    .close = close_file,
                                    .data = (void *)(intptr_t)fd,
                                    .length = (uint64_t)info->st_size};
    snprintf(etag, sizeof etag, "\"%llx-%llx%08lx\"", (unsigned long long)info->st_size,
             (unsigned long long)info->st_mtim.tv_sec, (unsigned long)info->st_mtim.tv_nsec);
    snprintf(headers, sizeof headers,
             "ETag: %s\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n", etag);
    if (has_etag(tw_http_header(request, "if-none-match"), etag)) {
        response.status = 304;
        source.length = 0;
    }
    tw_session_respond_from(session, &response, &source);
}

/* "/docs" is a folder: relative links of its page need the slash. */
static void redirect(struct tw_session *session, const char *path) {
    struct tw_buf headers = {0};
    static const char longest[] = "Location: //\r\n%%";
    if (tw_buf_try_reserve(&headers, sizeof longest + 3 * strlen(path)) != 0) {
        tw_session_refuse(session, 503, "out of memory");
        return;
    }
    tw_buf_print(&headers, "Location: /");
    for (const char *c = path; *c; c++) {
        bool plain = strchr("/-._~", *c) || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
                     (*c >= 'A' && *c <= 'Z');
        tw_buf_print(&headers, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    tw_buf_append(&headers, "/\r\n", 4);
    tw_session_respond(session, &(struct tw_http_response){.status = 301, .headers = headers.data});
    tw_buf_deinit(&headers);
}

static bool has_index(const char *folder, char *path) {
    size_t length = strlen(path);
    memcpy(path + length, index_name, sizeof index_name);
    int fd = open_beneath(folder, path);
    path[length] = '\0';
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void serve(struct tw_session *session, const struct tw_http_request *request,
                  const char *folder) {
    struct stat info = {0};
    char *path = NULL;
    int status = folder ? file_path(request->path, &path) : 404;
    int fd = path ? open_beneath(folder, path) : -1;
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        respond_file(session, request, fd, &info, path);
        fd = -1;
    } else if (S_ISDIR(info.st_mode) && has_index(folder, path)) {
        redirect(session, path);
    } else {
        tw_session_refuse(session, status == 503 ? 503 : 404,
                          status == 503 ? "out of memory" : "not found");
    }
    if (fd >= 0) close(fd);
    tw_free(path);
}

static void on_request(void *data, struct tw_session *session,
                       const struct tw_http_request *request) {
    struct tw_worker *worker = data;
    if (tw_str_eq(request->method, TW_STR("GET")) || tw_str_eq(request->method, TW_STR("HEAD"))) {
        serve(session, request, worker->hub.generation->public_dir);
        return;
    }
    struct tw_buf body = {0};
    tw_http_error_body(&body, "use GET or HEAD");
    tw_session_respond(session, &(struct tw_http_response){.status = 405,
                                                           .type = "application/json",
                                                           .body = {body.data, body.length},
                                                           .headers = "Allow: GET, HEAD\r\n",
                                                           .close = true});
    tw_buf_deinit(&body);
}

struct tw_http_service tw_static_service(struct tw_worker *worker) {
    return (struct tw_http_service){.on_request = on_request, .data = worker, .websocket = true};
}
