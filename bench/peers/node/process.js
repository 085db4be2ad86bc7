// process.js N MB: as bench/process.lua, by Node's child processes.
const { spawn } = require('child_process');

const count = Number(process.argv[2]);
const megabytes = Number(process.argv[3]);

function one() {
  return new Promise((resolve, reject) => {
    const child = spawn('true', { stdio: 'ignore' });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
  });
}

async function measure(name) {
  await one(); // what is made once is there
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = process.hrtime.bigint();
    await one();
    times.push(Number(process.hrtime.bigint() - start));
  }
  times.sort((a, b) => a - b);
  console.log(`${name} ${(times[Math.floor(count / 2)] / 1e3).toFixed(3)} us`);
}

async function main() {
  await measure('process_small');
  const ballast = Buffer.alloc(megabytes * 2 ** 20, 'x');
  await measure('process_large');
  if (ballast.length !== megabytes * 2 ** 20) {
    throw new Error('the memory is still in use');
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
