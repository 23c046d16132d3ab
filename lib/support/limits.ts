/**
 * Named limits that are not configuration: what bounds buffers, frames and waits between processes. Each says its
 * unit, why it is that number and what happens at it. What a user may change stands in the config instead.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = Object.freeze({
  /** Bytes of a frame's payload. A session that announces more is closed before anything is allocated. */
  framePayloadBytes: 1 * MIB,
  /** Bytes of a body or a result that travel inside one frame; above it they go as a stream with credit. */
  inlineBodyBytes: 64 * KIB,
  /** Bytes that a stream's sender may have under way; one window covers a local socket's buffer. */
  streamWindowBytes: 256 * KIB,
  /** Bytes of a single DATA frame, small enough that streams share a socket fairly. */
  streamChunkBytes: 64 * KIB,
  /** Bytes of a result that is a plain value. Above it the function must stream. */
  resultBytes: 16 * MIB,
  /** Bytes of the user, as JSON, that goes along with each invocation. */
  userBytes: 16 * KIB,
  /** Calls open at once on one session; 65 536 waiting calls are a fault, not a load. */
  openCallsPerSession: 65_536,
  /** Milliseconds for a peer on the same machine to finish the handshake. */
  handshakeMs: 5_000,
  /**
   * Bytes of a control message from the agent to a worker or an instance, who trust it: the table of 10 000 functions
   * has some 7 MB. What workers and instances send to the agent stays below `framePayloadBytes`.
   */
  controlMessageBytes: 16 * MIB,
  /** Milliseconds that a closed session's socket waits for its peer to read the rest. */
  lingerMs: 1_000,
  /** Connections to one socket at once: some for each worker and tool. More of them are closed unread. */
  connectionsPerSocket: 1_024,
  /** Groups of functions for which one worker reports demand. */
  demandGroups: 20_000,
  /** Bytes of a socket's path: sun_path has 108 with its terminator. */
  socketPathBytes: 107,
  /** Milliseconds that an instance may answer later than the deadline before it counts as unresponsive. */
  deadlineGraceMs: 500,
  /** Launches of one group that may fail by a signal in a row before its waiting requests are refused. */
  launchRetries: 2,
  /** Bytes that wait in user space for a peer that does not read, before this side stops reading from it, too. */
  socketBacklogBytes: 1 * MIB,
  /** Bytes that wait for a peer before its session is closed: the windows of a thousand streams at once. */
  sessionBacklogBytes: 256 * MIB,
  /** Arguments of one invocation. They are passed on the stack, which a hundred thousand of them would overflow. */
  arguments: 4_096,
  /** Characters of an error's message, and of its stack, that travel to the caller. */
  errorCharacters: 4_096,
  /** Levels of objects in an argument or result of a remote call: far from where the stack ends. */
  valueDepth: 500,
  /** Bytes of a Buffer in a remote call from which on it is a view of what was read, and keeps all of that alive. */
  valueCopyBytes: 16 * KIB,
  /** Bytes of the arguments, or of the result, of one remote call; above it they are to be a stream. */
  remoteValueBytes: 64 * MIB,
  /** Clients that one process may have a sidecar make for it alone: each has connections of its own. */
  madeClients: 16,
  /** Replies with objects whose cancellation may still be on its way: it comes within one trip between two processes. */
  repliesOnTheWay: 1_024,
  /** Objects and functions that one side of a session holds for the other. */
  remoteObjects: 10_000,
  /** Connections of one database that one process may hold or wait for. A pool has ten as a rule; who has a hundred loses them. */
  databaseConnections: 100,
  /** Milliseconds that a database has to roll back what a process left behind, before its connection is closed. */
  rollbackMs: 5_000,
  /** Milliseconds for which a connection that has answered counts as alive, and is not asked. */
  connectionTrustMs: 1_000,
  /** Commands of Redis that go in one call: some hundred make a call's own cost small, and a frame is not filled by names. */
  redisGathered: 512,
  /** Connections that a sidecar opens for single users of one Redis client: a fortieth of what a server takes by default. */
  redisConnections: 256,
  /** Of those, how many stay open for whoever comes next: a loop of blocking commands needs one. */
  redisIdleConnections: 4,
  /** Scripts that a sidecar keeps defined on one connection: each pipeline of ioredis copies the list. */
  redisScripts: 100,
  /** Bytes of messages that wait in a sidecar for one subscriber; above it the subscription is interrupted. */
  redisMessageBytes: 8 * MIB,
  /** Functions of one application. */
  functions: 10_000,
  /** Connections that all function processes together hold to one wire of a sidecar; more are refused unread. */
  wireConnections: 10_000,
  /** Sessions that wait for a connection to the database at once. Each waits for one at most, so more is no load. */
  wireWaiting: 10_000,
  /** Milliseconds that a session waits for a connection to the database. */
  wireWaitMs: 10_000,
  /** Milliseconds for a connection to the database to be made and authenticated. */
  wireConnectMs: 10_000,
  /** Bytes of a command that are gathered before it goes to the database: statements are read as a whole up to this size. */
  wireCommandBytes: 1 * MIB,
  /** Bytes that a session may send ahead of the answer that it waits for, before this side stops reading from it. */
  wireAheadBytes: 64 * KIB,
  /** Bytes of a packet in the handshake of a database: names, an answer to a challenge, attributes. */
  wireHandshakeBytes: 64 * KIB,
  /** Bytes of an answer that the wire reads itself: the columns of a prepared statement, 4 096 at most. */
  wireAnswerBytes: 4 * MIB,
  /** Settings of one session that are run again on each of its connections, and their characters. */
  wireSettings: 32,
  wireSettingsBytes: 8 * KIB,
  /** Prepared statements of one session; the database itself has 16 382 for all of them as a rule. */
  wireStatements: 16_384,
  /** Prepared statements that one connection to the database keeps; the one unused for longest is closed for the next. */
  wireStatementsKept: 256,
});
