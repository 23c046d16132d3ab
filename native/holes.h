/*
 * holes.h: free memory of the C library's allocator, in templates. Its free pieces lie between those in use, all over the
 * heap, and a fork that takes one has the page around it copied. Here all of them are taken before, and never given back:
 * what a fork allocates lies together, at the end. A fork loses nothing, since none of those pages were its own.
 */
#ifndef CARTON_HOLES_H
#define CARTON_HOLES_H

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* mallinfo2(3) is glibc's, since 2.33. Without it forks are larger, and work. */
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
#define CARTON_FILLS_HOLES
#endif
#endif

#ifdef CARTON_FILLS_HOLES

/* Bytes. Larger pieces are few, and asking for them may map them elsewhere; none are smaller than the step. */
#define LARGEST_HOLE (64 * 1024)
#define HOLE_STEP 16
/* Above it, steps are an eighth of the size: what is left of a hole is taken by a smaller one. */
#define EXACT_HOLE 4096

/* Of pieces that a thread keeps for its next request, which count as taken. */
#define KEPT_BYTES (1024 * 1024)

/* Whether it could be done. */
static bool fill_holes(void) {
  struct mallinfo2 info = mallinfo2();
  const char *end = (const char *)sbrk(0) - info.keepcost;
  /* What is free below the end. An allocator of somebody else's may have its pieces there without end. */
  size_t left = info.fordblks - info.keepcost + KEPT_BYTES;
  for (size_t size = LARGEST_HOLE; size >= HOLE_STEP; size -= size > EXACT_HOLE ? size / 8 / HOLE_STEP * HOLE_STEP : HOLE_STEP) {
    char *piece = malloc(size);
    while (piece != NULL && piece < end && left > size) {
      left -= size;
      piece = malloc(size);
    }
    free(piece);
  }
  return true;
}

#else
static bool fill_holes(void) {
  return false;
}
#endif

#endif
