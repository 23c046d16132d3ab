/**
 * Configuration of the application that a root template boots to have the framework warm: it has no code, no keys that
 * anybody uses, and logs nothing that anybody reads.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const keys = 'blank';

export const logger = {
  dir: process.env['EGG_CARTON_BLANK_LOGS'] ?? join(tmpdir(), 'egg-carton-blank'),
  level: 'NONE',
  consoleLevel: 'NONE',
};
