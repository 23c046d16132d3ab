/**
 * The error that a failed boot becomes: which application, what it threw, and where.
 */
import { CartonError } from '../support/errors';
import type { ProcessBoot } from '../protocol/control';
import { placeOf } from './place';

export function launchError(cause: unknown, boot: ProcessBoot): CartonError {
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  const place = placeOf(text, boot.application.baseDir);
  return new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', {
    of: `application "${boot.application.name}"`,
    expected: 'the application to boot',
    got: cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause),
    hint: place === undefined ? undefined : `At ${place}.`,
    thrown: boot.development && cause instanceof Error ? { name: cause.name, message: cause.message, stack: text } : undefined,
    cause,
  });
}
