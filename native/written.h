/*
 * written.h: the pages that forks write. Nearly all forks of a template write the same ones, so one of them is looked
 * at, and forks that are made ahead of time have theirs copied before anybody waits for them: a thousand faults less.
 */
#ifndef CARTON_WRITTEN_H
#define CARTON_WRITTEN_H

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux 5.14; headers may be older. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct range {
  uintptr_t start, end;
};

/* More than a fork of a large application has; what goes beyond is copied when it is written, as ever. */
#define RANGES 4096
static struct range written[RANGES];
static size_t written_count;

/* /proc/pid/pagemap: 64 bits for each page. */
#define PAGE_PRESENT (1ULL << 63)
#define PAGE_OF_FILE (1ULL << 61)
#define PAGE_EXCLUSIVE (1ULL << 56)
#define ENTRIES_AT_ONCE 512

static void note_written(uintptr_t page, uintptr_t size) {
  if (written_count > 0 && written[written_count - 1].end == page) written[written_count - 1].end = page + size;
  else if (written_count < RANGES) written[written_count++] = (struct range){page, page + size};
}

static void note_written_between(int pagemap, uintptr_t from, uintptr_t to) {
  uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
  uint64_t entries[ENTRIES_AT_ONCE];
  while (from < to) {
    size_t pages = (to - from) / size;
    if (pages > ENTRIES_AT_ONCE) pages = ENTRIES_AT_ONCE;
    ssize_t got = pread(pagemap, entries, pages * sizeof *entries, (off_t)(from / size * sizeof *entries));
    if (got <= 0) return;
    for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, from += size) {
      bool is_own = (entries[i] & PAGE_PRESENT) != 0 && (entries[i] & PAGE_OF_FILE) == 0 && (entries[i] & PAGE_EXCLUSIVE) != 0;
      if (is_own) note_written(from, size);
    }
  }
}

/* Of a fork of this process that is alive: all that it has of its own was shared with this process before. */
static void learn_written(pid_t pid) {
  char name[64], line[512], access[5];
  uintptr_t from, to;
  snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
  FILE *maps = fopen(name, "re");
  snprintf(name, sizeof name, "/proc/%d/pagemap", (int)pid);
  int pagemap = open(name, O_RDONLY | O_CLOEXEC);
  written_count = 0;
  while (maps != NULL && pagemap >= 0 && fgets(line, sizeof line, maps) != NULL) {
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, access) != 3) continue;
    if (access[1] == 'w' && access[3] == 'p') note_written_between(pagemap, from, to);
  }
  if (maps != NULL) fclose(maps);
  if (pagemap >= 0) close(pagemap);
}

/* In a fork. What is not mapped any more, or cannot be had, is left alone. */
static void copy_written(void) {
  for (size_t i = 0; i < written_count; i++) {
    madvise((void *)written[i].start, written[i].end - written[i].start, MADV_POPULATE_WRITE);
  }
}

#endif
