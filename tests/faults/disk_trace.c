/*
 * Preloaded into the daemon (LD_PRELOAD, ld.so(8)): writes down everything that is done to one
 * folder, and breaks things on demand.
 *
 * Environment: FAULTS_FOLDER, the folder (absolute); FAULTS_TRACE, where to append the trace;
 * FAULTS_CONTROL, a file of 16 64-bit words that the harness may change at any time (see
 * `enum word`). Without FAULTS_TRACE nothing is traced, without FAULTS_CONTROL nothing broken.
 *
 * A trace is a sequence of `struct record`, each followed by `length` bytes. Every record is
 * appended by one writev(2), after the operation has succeeded; what a caller tells others
 * after its call has returned is therefore later in the trace, too. Syncing leaves two records:
 * only what was written before it began is on the disk when it has ended.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum operation {
    OPENED = 1, WRITTEN, TRUNCATED, RENAMED, LINKED, UNLINKED, MADE_FOLDER, SYNC_BEGINS, SYNC_ENDED
};

enum kind { CREATE = 1, WRITE = 2, SYNC = 4, NAME = 8, REMOVE = 16, FOLDER = 32, TRUNCATE = 64,
            ENCODE = 128 };

enum word {
    FAILING_KINDS, /* kinds of calls that are counted and may fail */
    FAILING_ERRNO,
    CALLS,         /* how many such calls there were */
    FAIL_FROM,     /* calls with numbers from here on ... */
    FAIL_BEFORE,   /* ... to before here fail */
    FAILED,        /* how many did */
    CLOCK_OFFSET,  /* nanoseconds to add to the wall clock */
    CLOCK_STATE,   /* 1 more than what adjtimex(2) is to return; 0: the truth */
    WORDS = 16
};

struct record {
    uint64_t length, operation, monotonic_ns, inode, first, second;
};

#define MOST_DESCRIPTORS 4096

static char folder[PATH_MAX];
static size_t folder_length;
static int trace = -1;
static volatile int64_t *control;
static volatile char ours[MOST_DESCRIPTORS];
static pid_t process;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void forked(void)
{
    process = getpid();
}

__attribute__((constructor)) static void set_up(void)
{
    const char *name = getenv("FAULTS_FOLDER"), *path;
    if (!name) return;
    snprintf(folder, sizeof folder, "%s", name);
    if ((path = getenv("FAULTS_TRACE"))) {
        int low = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        trace = syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, 900);
        syscall(SYS_close, low);
    }
    if ((path = getenv("FAULTS_CONTROL"))) {
        int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        void *memory = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory != MAP_FAILED) control = memory;
        syscall(SYS_close, file);
    }
    folder_length = strlen(folder);
    forked();
    pthread_atfork(NULL, NULL, forked);
}

static int inside(const char *path)
{
    return folder_length && path && !strncmp(path, folder, folder_length) &&
        (path[folder_length] == '/' || !path[folder_length]);
}

static int is_ours(int descriptor)
{
    return descriptor >= 0 && descriptor < MOST_DESCRIPTORS && ours[descriptor];
}

/*
 * Only of this process: a child made by vfork(2) opens and closes its own descriptors, but shares
 * this memory with its parent, whose other threads go on.
 */
static void remember(int descriptor, int is_inside)
{
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS && getpid() == process)
        ours[descriptor] = is_inside;
}

static uint64_t inode_of(int descriptor)
{
    struct stat found;
    return fstat(descriptor, &found) ? 0 : found.st_ino;
}

static uint64_t inode_at(const char *path)
{
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

static void note(enum operation operation, uint64_t inode, uint64_t first, uint64_t second,
                 const struct iovec *parts, int count)
{
    if (trace < 0) return;
    int before = errno;
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    struct record record = {
        0, operation, now.tv_sec * 1000000000ull + now.tv_nsec, inode, first, second};
    struct iovec all[64] = {{&record, sizeof record}};
    if (count > 63) abort();
    for (int i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        record.length += parts[i].iov_len;
    }
    if (syscall(SYS_writev, trace, all, count + 1) != (long)(sizeof record + record.length)) abort();
    errno = before;
}

static void note_names(enum operation operation, uint64_t inode, const char *from, const char *to)
{
    struct iovec parts[2] = {{(void *)from, strlen(from) + 1}, {(void *)to, to ? strlen(to) + 1 : 0}};
    note(operation, inode, 0, 0, parts, to ? 2 : 1);
}

/* Whether this call is one that has to fail; errno is set then. */
static int fails(enum kind kind)
{
    if (!control || !(control[FAILING_KINDS] & kind)) return 0;
    int64_t number = __atomic_add_fetch(&control[CALLS], 1, __ATOMIC_SEQ_CST);
    if (number < control[FAIL_FROM] || number >= control[FAIL_BEFORE]) return 0;
    __atomic_add_fetch(&control[FAILED], 1, __ATOMIC_SEQ_CST);
    errno = control[FAILING_ERRNO];
    return 1;
}

/* --- opening and closing */

static int opened(int descriptor, const char *path, int flags)
{
    if (descriptor < 0) return descriptor;
    remember(descriptor, inside(path));
    if (inside(path)) {
        struct iovec name = {(void *)path, strlen(path) + 1};
        note(OPENED, inode_of(descriptor), flags, 0, &name, 1);
    }
    return descriptor;
}

static int open_it(int at, const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) && inside(path) && fails(CREATE)) return -1;
    return opened(syscall(SYS_openat, at, path, flags, mode), path, flags);
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_it(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_it(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_it(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_it(at, path, flags, mode); }
int __open_2(const char *path, int flags) { return open_it(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_it(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_it(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_it(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int descriptor)
{
    if (descriptor == trace && trace >= 0) return 0;
    remember(descriptor, 0);
    return syscall(SYS_close, descriptor);
}

static int copied(int from, int to)
{
    remember(to, is_ours(from));
    return to;
}

int dup(int from) { REAL(dup); return copied(from, real(from)); }
int dup2(int from, int to) { REAL(dup2); return copied(from, real(from, to)); }
int dup3(int from, int to, int flags) { REAL(dup3); return copied(from, real(from, to, flags)); }

/* --- contents */

static ssize_t wrote(int descriptor, ssize_t done, const struct iovec *parts, int count, off_t at)
{
    if (done <= 0 || trace < 0) return done;
    struct iovec whole[63];
    ssize_t rest = done;
    int used = 0;
    for (; used < count && used < 63 && rest > 0; used++) {
        whole[used] = parts[used];
        if ((ssize_t)whole[used].iov_len > rest) whole[used].iov_len = rest;
        rest -= whole[used].iov_len;
    }
    if (at < 0) at = lseek(descriptor, 0, SEEK_CUR) - done;
    note(WRITTEN, inode_of(descriptor), at, 0, whole, used);
    return done;
}

ssize_t write(int descriptor, const void *data, size_t length)
{
    if (!is_ours(descriptor)) return syscall(SYS_write, descriptor, data, length);
    if (fails(WRITE)) return -1;
    struct iovec part = {(void *)data, length};
    return wrote(descriptor, syscall(SYS_write, descriptor, data, length), &part, 1, -1);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t at)
{
    if (!is_ours(descriptor)) return syscall(SYS_pwrite64, descriptor, data, length, at);
    if (fails(WRITE)) return -1;
    struct iovec part = {(void *)data, length};
    return wrote(descriptor, syscall(SYS_pwrite64, descriptor, data, length, at), &part, 1, at);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t at)
{
    return pwrite64(descriptor, data, length, at);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    if (!is_ours(descriptor)) return syscall(SYS_writev, descriptor, parts, count);
    if (fails(WRITE)) return -1;
    return wrote(descriptor, syscall(SYS_writev, descriptor, parts, count), parts, count, -1);
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off64_t at)
{
    REAL(pwritev64);
    if (is_ours(descriptor) && fails(WRITE)) return -1;
    ssize_t done = real(descriptor, parts, count, at);
    return is_ours(descriptor) ? wrote(descriptor, done, parts, count, at) : done;
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t at)
{
    return pwritev64(descriptor, parts, count, at);
}

int ftruncate64(int descriptor, off64_t size)
{
    if (is_ours(descriptor) && fails(TRUNCATE)) return -1;
    int result = syscall(SYS_ftruncate, descriptor, size);
    if (!result && is_ours(descriptor)) note(TRUNCATED, inode_of(descriptor), size, 0, NULL, 0);
    return result;
}

int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

int truncate64(const char *path, off64_t size)
{
    if (inside(path) && fails(TRUNCATE)) return -1;
    int result = syscall(SYS_truncate, path, size);
    if (!result && inside(path)) note(TRUNCATED, inode_at(path), size, 0, NULL, 0);
    return result;
}

int truncate(const char *path, off_t size) { return truncate64(path, size); }

/* No folder that is traced may be written in these ways: the replay could not follow. */
int fallocate64(int descriptor, int how, off64_t at, off64_t length)
{
    if (!is_ours(descriptor)) return syscall(SYS_fallocate, descriptor, how, at, length);
    errno = EOPNOTSUPP;
    return -1;
}

int fallocate(int descriptor, int how, off_t at, off_t length) { return fallocate64(descriptor, how, at, length); }

int posix_fallocate64(int descriptor, off64_t at, off64_t length)
{
    REAL(posix_fallocate64);
    return is_ours(descriptor) ? EOPNOTSUPP : real(descriptor, at, length);
}

int posix_fallocate(int descriptor, off_t at, off_t length) { return posix_fallocate64(descriptor, at, length); }

/* --- syncing */

static int synced(int descriptor, long number)
{
    static uint64_t tokens;
    if (!is_ours(descriptor)) return syscall(number, descriptor);
    if (fails(SYNC)) return -1;
    uint64_t inode = inode_of(descriptor);
    uint64_t token = ((uint64_t)getpid() << 32) + __atomic_add_fetch(&tokens, 1, __ATOMIC_SEQ_CST);
    note(SYNC_BEGINS, inode, token, 0, NULL, 0);
    int result = syscall(number, descriptor);
    if (!result) note(SYNC_ENDED, inode, token, 0, NULL, 0);
    return result;
}

int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

/* --- names */

int rename(const char *from, const char *to)
{
    if (inside(to) && fails(NAME)) return -1;
    int result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!result && inside(to)) note_names(RENAMED, inode_at(to), from, to);
    return result;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    (void)from_at, (void)to_at;
    return rename(from, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    if (inside(to) && fails(NAME)) return -1;
    int result = syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (!result && inside(to)) note_names(RENAMED, inode_at(to), from, to);
    return result;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    if (inside(to) && fails(NAME)) return -1;
    int result = syscall(SYS_linkat, from_at, from, to_at, to, flags);
    if (!result && inside(to)) note_names(LINKED, inode_at(to), from, to);
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags)
{
    if (inside(path) && fails(REMOVE)) return -1;
    uint64_t inode = inside(path) ? inode_at(path) : 0;
    int result = syscall(SYS_unlinkat, at, path, flags);
    if (!result && inside(path)) note_names(UNLINKED, inode, path, NULL);
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdirat(int at, const char *path, mode_t mode)
{
    if (inside(path) && fails(FOLDER)) return -1;
    int result = syscall(SYS_mkdirat, at, path, mode);
    if (!result && inside(path)) note_names(MADE_FOLDER, inode_at(path), path, NULL);
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* --- the wall clock */

static int shifted(clockid_t clock, struct timespec *now)
{
    int result = syscall(SYS_clock_gettime, clock, now);
    if (!result && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t moment = now->tv_sec * 1000000000ll + now->tv_nsec + control[CLOCK_OFFSET];
        now->tv_sec = moment / 1000000000;
        now->tv_nsec = moment % 1000000000;
    }
    return result;
}

/* Without an offset the C library's own, which needs no system call. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime);
    return control && control[CLOCK_OFFSET] ? shifted(clock, now) : real(clock, now);
}

time_t time(time_t *result)
{
    struct timespec now;
    shifted(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    shifted(CLOCK_REALTIME, &now);
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    return 0;
}

int adjtimex(struct timex *asked)
{
    REAL(adjtimex);
    int state = real(asked);
    return control && control[CLOCK_STATE] ? control[CLOCK_STATE] - 1 : state;
}

/* --- the encoder */

static int look_at(struct dl_phdr_info *loaded, size_t size, void *found)
{
    (void)size;
    if (!strstr(loaded->dlpi_name, "libavcodec")) return 0;
    *(void **)found = dlopen(loaded->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
    return 1;
}

/* FFmpeg's; Python loads it where dlsym(RTLD_NEXT) does not look. */
int avcodec_send_frame(void *context, const void *frame)
{
    static int (*real)(void *, const void *);
    if (!real) {
        void *codecs = NULL;
        dl_iterate_phdr(look_at, &codecs);
        real = (int (*)(void *, const void *))dlsym(codecs, "avcodec_send_frame");
    }
    return fails(ENCODE) ? -errno : real(context, frame);
}
