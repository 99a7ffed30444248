// Does with the original libraries what a list of jobs says: node originals.js JOBS ANSWERS, two files of JSON.
// A job names a log {format, file, ...} and what to do: append its batches, delete some, and read it. All jobs run in one
// process, many at a time, since these libraries wait on timers.
'use strict'
const fs = require('fs')
const { promisify } = require('util')
const pull = require('pull-stream')

const [jobsFile, answersFile] = process.argv.slice(2)

// Payloads are bytes, in JSON as base64.
const raw = { encode: (bytes) => bytes, decode: (bytes) => bytes, buffer: true }
const bytes = (text) => Buffer.from(text, 'base64')
const text = (payload) => Buffer.from(payload).toString('base64')

const drained = (log) => new Promise((resolve) => log.onDrain(resolve))
const collected = (log, options, name) =>
  new Promise((resolve, reject) => {
    const rows = []
    log.stream(options).pipe({
      paused: false,
      // A deleted record has no value.
      write: (item) => item.value && rows.push([item[name], text(item.value)]),
      end: (error) => (error && error !== true ? reject(error) : resolve(rows)),
    })
  })
const pulled = (log) =>
  new Promise((resolve, reject) => {
    const done = (error, rows) => (error ? reject(error) : resolve(rows.map(({ seq, value }) => [seq, text(value)])))
    pull(log.stream({ seqs: true, values: true }), pull.collect(done))
  })

// Waits until a file has so many bytes. What never comes, the caller will miss.
const grown = async (file, bytes) => {
  for (let tries = 0; tries < 1000 && fs.statSync(file).size < bytes; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const formats = {
  offset: {
    open: (job) => require('flumelog-offset')(job.file, { offsetCodec: job.width, codec: raw, blockSize: 4096 }),
    append: (log, batch) => promisify(log.append)(batch),
    // It answers when it has written.
    drained: async () => {},
    del: (log, seq) => promisify(log.del)(seq),
    read: pulled,
    // It has no way to close.
    close: async () => {},
  },
  aligned: {
    open: (job) => require('flumelog-aligned-offset')(job.file, { blockSize: job.block, codec: raw }),
    append: (log, batch) => promisify(log.append)(batch),
    drained,
    del: (log, seq) => promisify(log.del)(seq),
    read: (log) => collected(log, { seqs: true, values: true }, 'seq'),
    // It says that it is done when it has written the first of several blocks, and to close it then is to lose the rest.
    close: (log, job) => grown(job.file, job.bytes),
  },
  aaol: {
    open: (job) => require('async-append-only-log')(job.file, { blockSize: job.block, writeTimeout: 1 }),
    append: (log, batch) => promisify(log.append)(batch),
    drained,
    del: (log, seq) => promisify(log.del)(seq),
    read: (log) => collected(log, { offsets: true, values: true }, 'offset'),
    // One that was stopped goes on by itself, and whoever asks for another one waits for it.
    compact: (log) => promisify(log.compact)(),
    close: async (log) => {
      await new Promise((resolve) => log.onDeletesFlushed(resolve))
      await promisify(log.close)()
    },
  },
}

async function log(job) {
  const format = formats[job.format]
  const log = format.open(job)
  const seqs = []
  for (const batch of job.append || []) {
    // Of a batch the last one's name is told.
    seqs.push(await format.append(log, batch.map(bytes)))
    await format.drained(log)
  }
  for (const seq of job.delete || []) await format.del(log, seq)
  if (job.compact) await format.compact(log)
  const rows = job.read ? await format.read(log) : []
  await format.close(log, job)
  return { seqs, rows }
}

// Texts of JSON, encoded; and bytes, decoded and printed.
async function bipf(job) {
  const bipf = require('bipf')
  return {
    encoded: job.texts.map((json) => text(bipf.allocAndEncode(JSON.parse(json)))),
    decoded: job.encoded.map((encoded) => JSON.stringify(bipf.decode(bytes(encoded), 0))),
  }
}

async function main() {
  const jobs = JSON.parse(fs.readFileSync(jobsFile))
  const answers = new Array(jobs.length)
  let next = 0
  const worker = async () => {
    while (next < jobs.length) {
      const number = next++
      answers[number] = await (jobs[number].format === 'bipf' ? bipf : log)(jobs[number])
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  fs.writeFileSync(answersFile, JSON.stringify(answers))
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
