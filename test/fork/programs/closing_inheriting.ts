/**
 * A template whose forks use the clients of the template that it was forked from. Runs in templates and their forks.
 */
import { run } from './closing_clients';

export { run };

export function warm(_argument: unknown, inherited: unknown): unknown {
  return inherited;
}
