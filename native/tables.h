/*
 * Entries of tables of functions, which lie among constants that the linker protects, in most builds.
 */
#ifndef CARTON_TABLES_H
#define CARTON_TABLES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of a page. */
static bool is_writable(uintptr_t address) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512], access[5] = "";
  uintptr_t from, to;
  bool found = false;
  while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
    found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, access) == 3 && from <= address && address < to;
  }
  if (maps != NULL) fclose(maps);
  return !found || access[1] == 'w';
}

static bool replace_entry(void **entry, void *replacement) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  void *start = (void *)((uintptr_t)entry & ~(uintptr_t)(page - 1));
  bool was_writable = is_writable((uintptr_t)start);
  if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return false;
  *entry = replacement;
  return was_writable || mprotect(start, page, PROT_READ) == 0;
}

#endif
