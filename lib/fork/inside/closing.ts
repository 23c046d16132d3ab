import type { Origins } from './origins';
export async function closeWhatReopens(_origins: Origins): Promise<void> {}
