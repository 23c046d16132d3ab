import type { Origins } from '../origins';
export function restartTimers(origins: Origins): void { for (const t of origins.timers()) t.refresh(); }
