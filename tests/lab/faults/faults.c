/* A library that is loaded before libc (LD_PRELOAD) and makes what a program does to its files fail.
 *
 * NARPOOL_FAULTS names a file of seven 64-bit numbers, which is mapped, so that whoever holds it can look
 * and change its mind while the program runs:
 *   0  how many changes of files were begun so far
 *   1  at which of these to fail, counted from 1; 0 for none
 *   2  how many to fail, from there on
 *   3  the error; 0 to write half and say so
 *   4  1 to write half before the error
 *   5  how many have failed so far
 *   6  by how many seconds the clock on the wall is ahead (signed)
 * A change is a write, a sync, a rename or an opening that may make a file, below the directory that
 * NARPOOL_FAULTS_UNDER names. Logs for people are left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *control;
static const char *under;

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("NARPOOL_FAULTS");
	under = getenv("NARPOOL_FAULTS_UNDER");
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0 || !under)
		return;
	void *map = mmap(NULL, 56, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		control = map;
}

static int concerns(const char *path)
{
	size_t len = strlen(under);
	if (strncmp(path, under, len) != 0 || (path[len] != '/' && path[len] != 0))
		return 0;
	const char *base = strrchr(path, '/');
	return strncmp(base, "/LOG", 4) != 0 && strcmp(base, "/log") != 0;
}

static int concerns_fd(int fd)
{
	char link[32], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof path - 1);
	if (len <= 0)
		return 0;
	path[len] = 0;
	return concerns(path);
}

/* Whether this change is to fail. */
static int fails(int concerned)
{
	if (!concerned)
		return 0;
	uint64_t number = __sync_add_and_fetch(&control[0], 1);
	uint64_t from = control[1];
	if (from == 0 || number < from || number - from >= control[2])
		return 0;
	__sync_add_and_fetch(&control[5], 1);
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CACHED(name) \
	static __typeof__(&name) real; \
	if (!real) \
		real = REAL(name)

/* How much of a write that fails is written. */
static size_t part(size_t len)
{
	return control[3] == 0 || control[4] ? (len + 1) / 2 : 0;
}

static ssize_t failed(ssize_t written)
{
	if (control[3] == 0)
		return written;
	errno = (int)control[3];
	return -1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	CACHED(write);
	if (!control || !fails(concerns_fd(fd)))
		return real(fd, bytes, len);
	size_t some = part(len);
	return failed(some ? real(fd, bytes, some) : 0);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	CACHED(pwrite64);
	if (!control || !fails(concerns_fd(fd)))
		return real(fd, bytes, len, at);
	size_t some = part(len);
	return failed(some ? real(fd, bytes, some, at) : 0);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite64(fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	CACHED(writev);
	if (!control || count == 0 || !fails(concerns_fd(fd)))
		return real(fd, parts, count);
	size_t some = part(parts[0].iov_len);
	return failed(some ? write(fd, parts[0].iov_base, some) : 0);
}

/* A sync or a name cannot be done by halves. */
#define WHOLE(concerned) \
	do { \
		if (control && fails(concerned) && control[3] != 0) { \
			errno = (int)control[3]; \
			return -1; \
		} \
	} while (0)

int fsync(int fd)
{
	CACHED(fsync);
	WHOLE(concerns_fd(fd));
	return real(fd);
}

int fdatasync(int fd)
{
	CACHED(fdatasync);
	WHOLE(concerns_fd(fd));
	return real(fd);
}

int rename(const char *from, const char *to)
{
	CACHED(rename);
	WHOLE(concerns(to));
	return real(from, to);
}

static mode_t mode_of(int flags, va_list rest)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPENS(name)                                                            \
	int name(const char *path, int flags, ...)                             \
	{                                                                      \
		CACHED(name);                                                  \
		va_list rest;                                                  \
		va_start(rest, flags);                                         \
		mode_t mode = mode_of(flags, rest);                            \
		va_end(rest);                                                  \
		if (flags & O_CREAT)                                           \
			WHOLE(concerns(path));                                 \
		return real(path, flags, mode);                                \
	}

OPENS(open64)
OPENS(open)

int clock_gettime(clockid_t clock, struct timespec *time)
{
	CACHED(clock_gettime);
	int failed = real(clock, time);
	if (!failed && control && clock == CLOCK_REALTIME)
		time->tv_sec += (int64_t)control[6];
	return failed;
}
