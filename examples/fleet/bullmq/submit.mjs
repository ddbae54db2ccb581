// Work on an image, or on many, as a flow of jobs: `node submit.mjs PARTS COMMAND...`, for instance
// `node submit.mjs 8 checksum disk.vhdx`. Writes what the undivided command would have written, and ends with its exit
// code. REDIS_URL says where the queue is.
import { FlowProducer, QueueEvents } from 'bullmq';
import { COMBINE, connect, PART } from './queue.mjs';

const [parts, ...command] = process.argv.slice(2);
const connection = connect();
const events = new QueueEvents(COMBINE, { connection });
const flows = new FlowProducer({ connection });
const attempts = { attempts: 5, backoff: { type: 'exponential', delay: 500 } };
const { job } = await flows.add({
  name: 'combine',
  queueName: COMBINE,
  children: Array.from({ length: Number(parts) }, (_, index) => ({
    name: 'part',
    queueName: PART,
    data: { command: [...command, '--shard', `${index}/${parts}`] },
    opts: { ...attempts, ignoreDependencyOnFailure: true }, // what puts the parts together says it
  })),
});
try {
  const { code, stdout, stderr } = await job.waitUntilFinished(events);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = code;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await Promise.all([events.close(), flows.close()]);
  connection.disconnect();
}
