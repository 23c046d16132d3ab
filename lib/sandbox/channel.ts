/**
 * The descriptor on which a function process finds its channel to the agent: 0, 1 and 2 are its standard streams.
 */
export const CHANNEL_FD = 3;
