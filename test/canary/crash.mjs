// Loaded into the service before everything else: errors that nobody catches, with texts of somebody's.
process.on('SIGHUP', () => void Promise.reject(new Error(`Cannot read ${process.env.UNHANDLED}`)));
process.on('SIGUSR1', () => {
  throw new Error(`Cannot read ${process.env.UNCAUGHT}`);
});
