export class Origins { start(): void {} stop(): void {} timers(): NodeJS.Timeout[] { return []; } }
