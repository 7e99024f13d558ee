# The commands are those of README.md, "In a container"; tests/test_dockerfile.py holds that.
#   docker build -t agentkit .                             models on the CPU, or hosted ones
#   docker build -t agentkit --build-arg EXTRAS=all .      with torch and its CUDA libraries, for hf/ models
FROM python:3.12-slim

ARG EXTRAS=local,curate,postgres,server,mcp

ENV AGENTKIT_HOME=/data AGENTKIT_CACHE=/data/cache PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /agentkit
COPY . .
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1
RUN pip install -c constraints.txt ".[${EXTRAS}]"

RUN useradd --create-home --uid 1000 agent && install -d -o agent /data
USER agent
WORKDIR /data
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["agentkit"]
CMD ["doctor"]
