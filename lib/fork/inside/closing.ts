/**
 * Closes what a template can give up without anybody noticing: connections that nobody uses at this moment, of client
 * libraries that open them again. Runs in templates, where the first inspection found reasons.
 */
import { CLIENTS } from './clients/index';
import { openSockets } from './inspection/handles';
import type { Origins } from './origins';

/** Bounded, as each adapter is. Whatever it could not close the next inspection finds again. */
export async function closeWhatReopens(origins: Origins): Promise<void> {
  const sockets = openSockets(origins);
  await Promise.all(CLIENTS.map((client) => client.close(origins, sockets)));
}
