/* Counts the calls of all processes that change files below one folder, and acts before the n-th of them.
 *
 * Loaded by LD_PRELOAD. FINNEX_CRASH_CONTROL names a file that every process maps: the counter, what to do at which
 * count, and the folder. The layout of `struct control` is repeated in control.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum action { COUNT = 0, KILL_SELF = 1, KILL_GROUP = 2, STEP = 3 };

struct control {
    _Atomic uint64_t count;    /* calls so far */
    uint64_t target;           /* the call before which to act; 0: none */
    _Atomic uint64_t waiting;  /* STEP: the call before which a process waits */
    _Atomic uint64_t released; /* STEP: calls up to this one may run */
    _Atomic uint32_t fired;
    _Atomic uint32_t stepping; /* STEP: one call at a time */
    uint32_t action;
    uint32_t half;    /* a write at the target reaches the file with half of its bytes */
    uint32_t no_sync; /* fsync and its relatives return without doing anything */
    int32_t group;    /* process group that KILL_GROUP ends */
    int32_t process;  /* count only this process; where negative, all but this one; 0: all */
    uint32_t log;     /* append each call to `log_file` */
    char folder[1024];
    char only[256]; /* count only calls whose path contains this */
    char log_file[1024];
    char call[2048]; /* STEP, and the last call: its name, path and second path, separated by tabs */
};

static struct control *control;
static __thread int holds_step;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}
#define REAL(name)                                \
    static __typeof__(name) *real_##name;         \
    if (!real_##name) real_##name = real(#name)

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("FINNEX_CRASH_CONTROL");
    if (!path) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped != MAP_FAILED) control = mapped;
}

/* Write the absolute path of `path` relative to `at` into `out`; empty where there is none. */
static void absolute(int at, const char *path, char *out) {
    out[0] = 0;
    if (path && path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    char base[PATH_MAX];
    if (at == AT_FDCWD) {
        if (syscall(SYS_getcwd, base, sizeof base) < 0) return;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (n < 0) return;
        base[n] = 0;
    }
    if (!path || !path[0])
        snprintf(out, PATH_MAX, "%s", base);
    else if ((size_t)snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX)
        out[0] = 0;
}

static int below(const char *path) {
    size_t n = strlen(control->folder);
    return n && strncmp(path, control->folder, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int counted(const char *first, const char *second) {
    int32_t self = (int32_t)syscall(SYS_getpid);
    if (control->process > 0 && self != control->process) return 0;
    if (control->process < 0 && self == -control->process) return 0;
    if (!below(first) && !(second && below(second))) return 0;
    return !control->only[0] || strstr(first, control->only) || (second && strstr(second, control->only));
}

static void die(int whole_group) {
    if (whole_group && control->group > 1) syscall(SYS_kill, -control->group, SIGKILL);
    syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static void nap(void) {
    struct timespec some = {0, 50000};
    nanosleep(&some, NULL);
}

/* Called before a counted call. Returns whether the call is the target and has to write half of its bytes first. */
static int before(const char *call, const char *first, const char *second) {
    int kept = errno;
    /* After the crash of a group no process of it changes anything more, wherever the scheduler lets it run on. */
    if (control->action == KILL_GROUP && atomic_load(&control->fired)) for (;;) pause();
    if (control->action == STEP) {
        while (atomic_exchange(&control->stepping, 1)) nap();
        holds_step = 1;
    }
    uint64_t number = atomic_fetch_add(&control->count, 1) + 1;
    if (control->log) {
        char line[2 * PATH_MAX + 64];
        int n = snprintf(line, sizeof line, "%lu\t%ld\t%s\t%s\t%s\n", (unsigned long)number, (long)syscall(SYS_getpid), call,
                         first, second ? second : "");
        int fd = (int)syscall(SYS_openat, AT_FDCWD, control->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0) {
            syscall(SYS_write, fd, line, n);
            syscall(SYS_close, fd);
        }
    }
    if (control->action == STEP || (control->target && number == control->target))
        snprintf(control->call, sizeof control->call, "%s\t%s\t%s", call, first, second ? second : "");
    if (control->action == STEP) {
        atomic_store(&control->waiting, number);
        while (atomic_load(&control->released) < number) nap();
    } else if (control->target && number == control->target && control->action != COUNT) {
        atomic_store(&control->fired, 1);
        if (control->half && strstr(call, "write")) return 1;
        die(control->action == KILL_GROUP);
    }
    errno = kept;
    return 0;
}

static void after(void) {
    if (!holds_step) return;
    holds_step = 0;
    atomic_store(&control->stepping, 0);
}

/* Evaluate a call to libc, then let the next one step. */
#define RUN(call) ({ __typeof__(call) result_ = call; int kept_ = errno; after(); errno = kept_; result_; })

static int before_path(const char *call, int at, const char *path) {
    if (!control || !control->folder[0]) return 0;
    char whole[PATH_MAX];
    absolute(at, path, whole);
    return counted(whole, NULL) ? before(call, whole, NULL) : 0;
}

static int before_fd(const char *call, int fd) { return before_path(call, fd, NULL); }

static void before_two(const char *call, int at, const char *path, int to, const char *target) {
    if (!control || !control->folder[0]) return;
    char first[PATH_MAX], second[PATH_MAX];
    absolute(at, path, first);
    absolute(to, target, second);
    if (counted(first, second)) before(call, first, second);
}

static int exists(int at, const char *path) {
    struct stat found;
    int kept = errno, there = fstatat(at, path, &found, AT_SYMLINK_NOFOLLOW) == 0;
    errno = kept;
    return there;
}

#define UNNAMED(flags) (((flags) & O_TMPFILE) == O_TMPFILE)

static int changes(int at, const char *path, int flags) {
    if (UNNAMED(flags)) return 1;
    if (!(flags & (O_CREAT | O_TRUNC))) return 0; /* opening alone changes nothing */
    if (flags & (O_TRUNC | O_EXCL)) return 1;
    return !exists(at, path);
}

#define OPEN(name, AT, DECLARED, GIVEN)                                     \
    int name(DECLARED const char *path, int flags, ...) {                   \
        REAL(name);                                                         \
        va_list rest;                                                       \
        va_start(rest, flags);                                              \
        mode_t mode = (flags & O_CREAT) || UNNAMED(flags) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                       \
        if (control && control->folder[0] && changes(AT, path, flags)) before_path("open", AT, path); \
        return RUN(real_##name(GIVEN path, flags, mode));                   \
    }
#define NOTHING
#define DIRFD_DECLARED int at,
#define DIRFD at,
OPEN(open, AT_FDCWD, NOTHING, NOTHING)
OPEN(open64, AT_FDCWD, NOTHING, NOTHING)
OPEN(openat, at, DIRFD_DECLARED, DIRFD)
OPEN(openat64, at, DIRFD_DECLARED, DIRFD)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define WRITE(name, DECLARED, HALF, GIVEN)          \
    ssize_t name DECLARED {                         \
        REAL(name);                                 \
        if (before_fd(#name, fd)) {                 \
            if (n > 1) real_##name HALF;            \
            die(control->action == KILL_GROUP);     \
        }                                           \
        return RUN(real_##name GIVEN);              \
    }
WRITE(write, (int fd, const void *data, size_t n), (fd, data, n / 2), (fd, data, n))
WRITE(pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n / 2, at), (fd, data, n, at))
WRITE(pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n / 2, at), (fd, data, n, at))
WRITE(writev, (int fd, const struct iovec *data, int n), (fd, data, n / 2), (fd, data, n))
WRITE(pwritev, (int fd, const struct iovec *data, int n, off_t at), (fd, data, n / 2, at), (fd, data, n, at))

#define SIMPLE(result, name, DECLARED, BEFORE, GIVEN) \
    result name DECLARED {                            \
        REAL(name);                                   \
        BEFORE;                                       \
        return RUN(real_##name GIVEN);                \
    }
SIMPLE(ssize_t, sendfile, (int fd, int from, off_t *at, size_t n), before_fd("sendfile", fd), (fd, from, at, n))
SIMPLE(ssize_t, sendfile64, (int fd, int from, off64_t *at, size_t n), before_fd("sendfile", fd), (fd, from, at, n))
SIMPLE(ssize_t, copy_file_range, (int from, off64_t *at, int fd, off64_t *to, size_t n, unsigned flags),
       before_fd("copy_file_range", fd), (from, at, fd, to, n, flags))
SIMPLE(int, rename, (const char *a, const char *b), before_two("rename", AT_FDCWD, a, AT_FDCWD, b), (a, b))
SIMPLE(int, renameat, (int at, const char *a, int to, const char *b), before_two("rename", at, a, to, b), (at, a, to, b))
SIMPLE(int, renameat2, (int at, const char *a, int to, const char *b, unsigned flags),
       before_two("rename", at, a, to, b), (at, a, to, b, flags))
SIMPLE(int, link, (const char *a, const char *b), before_two("link", AT_FDCWD, a, AT_FDCWD, b), (a, b))
SIMPLE(int, linkat, (int at, const char *a, int to, const char *b, int flags), before_two("link", at, a, to, b),
       (at, a, to, b, flags))
SIMPLE(int, symlink, (const char *a, const char *b), before_path("symlink", AT_FDCWD, b), (a, b))
SIMPLE(int, symlinkat, (const char *a, int to, const char *b), before_path("symlink", to, b), (a, to, b))
SIMPLE(int, unlink, (const char *path), before_path("unlink", AT_FDCWD, path), (path))
SIMPLE(int, unlinkat, (int at, const char *path, int flags),
       before_path(flags & AT_REMOVEDIR ? "rmdir" : "unlink", at, path), (at, path, flags))
SIMPLE(int, rmdir, (const char *path), before_path("rmdir", AT_FDCWD, path), (path))
SIMPLE(int, remove, (const char *path), before_path("unlink", AT_FDCWD, path), (path))
SIMPLE(int, mkdir, (const char *path, mode_t mode), if (!exists(AT_FDCWD, path)) before_path("mkdir", AT_FDCWD, path),
       (path, mode))
SIMPLE(int, mkdirat, (int at, const char *path, mode_t mode), if (!exists(at, path)) before_path("mkdir", at, path),
       (at, path, mode))
SIMPLE(int, truncate, (const char *path, off_t n), before_path("truncate", AT_FDCWD, path), (path, n))
SIMPLE(int, truncate64, (const char *path, off64_t n), before_path("truncate", AT_FDCWD, path), (path, n))
SIMPLE(int, ftruncate, (int fd, off_t n), before_fd("truncate", fd), (fd, n))
SIMPLE(int, ftruncate64, (int fd, off64_t n), before_fd("truncate", fd), (fd, n))
SIMPLE(int, posix_fallocate, (int fd, off_t at, off_t n), before_fd("fallocate", fd), (fd, at, n))
SIMPLE(int, fallocate, (int fd, int mode, off_t at, off_t n), before_fd("fallocate", fd), (fd, mode, at, n))

#define SYNC(name, call)                                  \
    int name(int fd) {                                    \
        REAL(name);                                       \
        before_fd(call, fd);                              \
        return RUN(control && control->no_sync ? 0 : real_##name(fd)); \
    }
SYNC(fsync, "fsync")
SYNC(fdatasync, "fsync")
SYNC(syncfs, "syncfs")

void sync(void) {
    REAL(sync);
    if (control && control->folder[0]) before("sync", control->folder, NULL);
    if (!(control && control->no_sync)) real_sync();
    after();
}

int sync_file_range(int fd, off64_t at, off64_t n, unsigned flags) {
    REAL(sync_file_range);
    return control && control->no_sync ? 0 : real_sync_file_range(fd, at, n, flags);
}
