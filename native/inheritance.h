/*
 * What a fork inherits otherwise than fork(2) would have it: V8's heap, which Node keeps from children, and files at
 * positions of their own.
 */
#ifndef CARTON_INHERITANCE_H
#define CARTON_INHERITANCE_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Kept open: a template that has no descriptor left for a while is to go on waiting. */
static FILE *maps = NULL;

/*
 * Node maps V8's heap so that a child does not get it (MADV_DONTFORK, nodejs/node#48523). Undoes that for every
 * mapping. /proc/self/smaps would tell which have the flag, at the price of walking all pages; asking for all of them
 * costs a tenth. Mappings of devices refuse (EINVAL), as they should.
 */
static int share_mappings(void) {
  if (maps == NULL) maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return errno;
  rewind(maps);
  char line[512];
  int error = 0;
  /* A path may be longer than the buffer, and what follows may look like a mapping. */
  bool begins = true;
  while (error == 0 && fgets(line, sizeof line, maps) != NULL) {
    bool was_begun = !begins;
    uintptr_t from, to;
    begins = strchr(line, '\n') != NULL;
    if (was_begun || sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) != 2) continue;
    /* EINVAL: of a device. ENOMEM: unmapped since the line was read, or the kernel's own ([vsyscall]). */
    if (madvise((void *)from, to - from, MADV_DOFORK) != 0 && errno != EINVAL && errno != ENOMEM) error = errno;
  }
  return error;
}

/* In a fork, where it would still be the template's. */
static void forget_mappings(void) {
  fclose(maps);
  maps = NULL;
}

/* Of a file's flags, those that opening it again may repeat. */
#define REPEATED_FLAGS (O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT)

/* Gives the child a file description of its own, so that it does not share a position with its siblings. */
static int reopen(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int flags = fcntl(fd, F_GETFL), kept = fcntl(fd, F_GETFD);
  if (flags < 0 || kept < 0) return errno;
  off_t position = lseek(fd, 0, SEEK_CUR);
  int own = open(path, (flags & REPEATED_FLAGS) | O_CLOEXEC);
  /* Where only the end is written to, as in logs, sharing does no harm: a file that may not be opened any more. */
  if (own < 0) return (flags & O_APPEND) != 0 && (flags & O_ACCMODE) == O_WRONLY ? 0 : errno;
  if (position >= 0) lseek(own, position, SEEK_SET);
  int error = dup3(own, fd, (kept & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0) < 0 ? errno : 0;
  close(own);
  return error;
}

#endif
