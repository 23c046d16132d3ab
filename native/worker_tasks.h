/*
 * worker_tasks.h: what V8 gives to its other threads, of which a fork has none. Used in root templates; what is forked
 * from them inherits it.
 *
 * With TEMPLATE_FLAGS V8 gives next to nothing away, but V8 11 (Node 20) posts a task in each full collection, whatever
 * its flags say. In a fork nobody would ever run it, and Node waits for all such tasks at the end of its loop and at the
 * end of each worker thread: for ever. So they run at once, on the thread that posts them, which V8 allows.
 *
 * The way in is the one virtual function of node::NodePlatform through which all of them go, by its exported names of
 * Node 20 and of Node 22 and later, in the platform's exported table of such functions (Itanium C++ ABI). Where a name
 * is not found, nothing is changed.
 */
#ifndef CARTON_WORKER_TASKS_H
#define CARTON_WORKER_TASKS_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

#include "tables.h"

/* v8::Task: two destructors, the second of which deletes, then `Run`. */
struct task {
  void (*const *functions)(struct task *);
};
enum { TASK_DELETE = 1, TASK_RUN = 2 };

/* A std::unique_ptr is passed by the address of its one field. */
static void run_task_here(struct task **owner) {
  struct task *task = *owner;
  *owner = NULL;
  task->functions[TASK_RUN](task);
  task->functions[TASK_DELETE](task);
}

/* NodePlatform::CallOnWorkerThread(std::unique_ptr<v8::Task>), Node 20. */
static void call_here(void *platform, struct task **task) {
  (void)platform;
  run_task_here(task);
}

/* NodePlatform::PostTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task>, const v8::SourceLocation &). */
static void post_here(void *platform, int priority, struct task **task, const void *location) {
  (void)platform, (void)priority, (void)location;
  run_task_here(task);
}

/* More than Node's platform has. */
#define VIRTUAL_FUNCTIONS 64

static bool replace_function(const char *name, void *replacement) {
  void **table = dlsym(RTLD_DEFAULT, "_ZTVN4node12NodePlatformE");
  void *original = dlsym(RTLD_DEFAULT, name);
  if (table == NULL || original == NULL) return false;
  for (int i = 0; i < VIRTUAL_FUNCTIONS; i++) {
    if (table[i] == original) return replace_entry(&table[i], replacement);
  }
  return false;
}

/* Whether they do from now on. */
static bool run_worker_tasks_here(void) {
  if (replace_function("_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EE", (void *)call_here)) return true;
  return replace_function("_ZN4node12NodePlatform26PostTaskOnWorkerThreadImplEN2v812TaskPriorityESt10unique_ptrINS1_4TaskESt14default_deleteIS4_EERKNS1_14SourceLocationE", (void *)post_here);
}

#endif
