/*
 * hints.h: where V8's pages lie. Used in root templates; what is forked from them inherits it.
 *
 * V8 asks for each page of its heap at an address that it draws. In a process that is forked from, that scatter is dear:
 * each page of 256 KB has page tables of its own, which fork(2) copies, 1 MB of them instead of 0.25. Here the kernel
 * chooses, one beside the other. What stays random is what the kernel draws for the whole process; forks of one template
 * have one layout anyway.
 *
 * The way in is the entry of mmap in the main program's table of functions from libraries (ELF's procedure linkage
 * table). Where it is not found, nothing is changed.
 */
#ifndef CARTON_HINTS_H
#define CARTON_HINTS_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "tables.h"

/* Larger ones, as for V8's code, are few, and may have to lie near each other. */
#define HINTED_BYTES (2 * 1024 * 1024)

static void *map_anywhere(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (length < HINTED_BYTES && fd < 0 && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == 0) address = NULL;
  return mmap(address, length, protection, flags, fd, offset);
}

/* Some linkers leave addresses in this section as they are in the file. */
static const void *linked(const struct dl_phdr_info *program, ElfW(Addr) address) {
  return (const void *)(address < program->dlpi_addr ? program->dlpi_addr + address : address);
}

static bool is_mmap(const char *name) {
  return strcmp(name, "mmap") == 0 || strcmp(name, "mmap64") == 0;
}

/* `context`: a bool, whether the entry was replaced. */
static int replace_mmap(struct dl_phdr_info *program, size_t size, void *context) {
  (void)size;
  const ElfW(Rela) *entries = NULL;
  const ElfW(Sym) *symbols = NULL;
  const char *names = NULL;
  size_t bytes = 0;
  for (size_t i = 0; i < program->dlpi_phnum; i++) {
    if (program->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const ElfW(Dyn) *dynamic = (const ElfW(Dyn) *)(program->dlpi_addr + program->dlpi_phdr[i].p_vaddr);
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
      if (dynamic->d_tag == DT_JMPREL) entries = linked(program, dynamic->d_un.d_ptr);
      if (dynamic->d_tag == DT_PLTRELSZ) bytes = dynamic->d_un.d_val;
      if (dynamic->d_tag == DT_SYMTAB) symbols = linked(program, dynamic->d_un.d_ptr);
      if (dynamic->d_tag == DT_STRTAB) names = linked(program, dynamic->d_un.d_ptr);
    }
  }
  for (size_t i = 0; entries != NULL && symbols != NULL && names != NULL && i < bytes / sizeof *entries; i++) {
    if (!is_mmap(names + symbols[ELF64_R_SYM(entries[i].r_info)].st_name)) continue;
    void **entry = (void **)(program->dlpi_addr + entries[i].r_offset);
    if (replace_entry(entry, (void *)map_anywhere)) *(bool *)context = true;
  }
  /* The first is the main program, and V8 is in it. */
  return 1;
}

/* Whether V8's pages lie together from now on. */
static bool ignore_hints(void) {
  bool is_replaced = false;
  dl_iterate_phdr(replace_mmap, &is_replaced);
  return is_replaced;
}

#endif
