/**
 * A function that does nothing. A rehearsal invokes it, so that the way of an invocation through the runtime is compiled
 * even where no function of the application is invoked.
 */
export default async function noOp(_ctx: unknown, value?: unknown): Promise<unknown> {
  return value;
}
