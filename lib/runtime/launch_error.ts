/**
 * The error that a failed boot becomes: which application, what it threw, and where.
 */
import { CartonError, describe } from '../support/errors';
import { LIMITS } from '../support/limits';
import type { ProcessBoot } from '../protocol/control';
import { placeOf } from './place';

export function launchError(cause: unknown, boot: ProcessBoot): CartonError {
  const isError = cause instanceof Error;
  // It travels to the agent in one frame, so nothing of it may be of any size.
  const message = describe(cause).slice(0, LIMITS.errorCharacters);
  const text = isError ? String(cause.stack ?? message) : message;
  const place = placeOf(text, boot.application.baseDir);
  return new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', {
    of: `application "${boot.application.name}"`,
    expected: 'the application to boot',
    got: isError ? `${String(cause.name).slice(0, 100)}: ${message}` : message,
    hint: place === undefined ? undefined : `At ${place}.`,
    thrown: boot.development && isError ? { name: String(cause.name).slice(0, 100), message, stack: text.slice(0, LIMITS.errorCharacters) } : undefined,
    cause,
  });
}
