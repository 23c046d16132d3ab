/*
 * holes.h: free memory of the C library's allocator, in templates. Its free pieces lie between those in use, all over the
 * heap, and a fork that takes one has the page around it copied. Here all of them are taken before, and never given back:
 * what a fork allocates lies together, at the end. A fork loses nothing, since none of those pages were its own.
 */
#ifndef CARTON_HOLES_H
#define CARTON_HOLES_H

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

/* Since glibc 2.33. Elsewhere forks are larger, and work. */
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)

/* Bytes. Larger pieces are few, and asking for them may map them elsewhere; none are smaller than the step. */
#define LARGEST_HOLE (64 * 1024)
#define HOLE_STEP 16
/* Above it, steps are an eighth of the size: what is left of a hole is taken by a smaller one. */
#define EXACT_HOLE 4096

static void fill_holes(void) {
  const char *end = (const char *)sbrk(0) - mallinfo2().keepcost;
  for (size_t size = LARGEST_HOLE; size >= HOLE_STEP; size -= size > EXACT_HOLE ? size / 8 / HOLE_STEP * HOLE_STEP : HOLE_STEP) {
    char *piece = malloc(size);
    while (piece != NULL && piece < end) piece = malloc(size);
    free(piece);
  }
}

#else
static void fill_holes(void) {}
#endif

#endif
