"""What people use today, on the same data, split and machine; each in an environment of its own.

    python -m venv peers
    peers/bin/pip install torch==2.13.0 neuralforecast==3.3.0 skorch==1.4.0
    peers/bin/python -m benchmarks.applications.peers.neuralforecast_etth1 ETTh1.csv --out peers.json
    peers/bin/python -m benchmarks.applications.peers.skorch_classify pendigits.csv --out peers.json
    peers/bin/python -m benchmarks.applications.peers.skorch_classify JapaneseVowels --out peers.json
    python -m benchmarks.applications.peers.carrousel_etth1 ETTh1.csv --out peers.json
    python -m benchmarks.applications.peers.carrousel_classify pendigits.csv --out peers.json
    python -m benchmarks.applications.peers.carrousel_classify JapaneseVowels --out peers.json
    python -m benchmarks.applications.peers.compare peers.json

One after the other, on one thread each (OMP_NUM_THREADS=1) and with three seeds; every script replaces its own part of
the file, and the last one prints the tables. Seconds of training are those of the processor, so that they hold on a
machine that others use too; a prediction is timed by the clock.
"""
