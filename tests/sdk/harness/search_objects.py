"""What azure-search-documents has a service keep beside indexes: made, looked at, changed, listed and deleted."""

from azure.search.documents.indexes import models
from either import each, settled
from recorder import door
from search_clients import shown

STORAGE = f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={'A' * 86}==;EndpointSuffix=core.windows.net"


async def synonym_map(way):
    name = f"words-{way.index}"
    async with way.indexes() as client:
        made = await settled(client.create_synonym_map(models.SynonymMap(name=name, synonyms=["quay, pier"])))
        again = await settled(client.get_synonym_map(name))
        again.synonyms = ["quay, pier, mole"]
        changed = await settled(client.create_or_update_synonym_map(again))
        listed = name in await settled(client.get_synonym_map_names())
        await settled(client.delete_synonym_map(name))
        return [shown(made), shown(changed), listed]


async def indexer(way):
    """With the data source that it reads and the skillset that it goes through."""
    source, skillset, name = (f"{kind}-{way.index}" for kind in ("source", "skills", "nightly"))
    skill = models.LanguageDetectionSkill(
        inputs=[models.InputFieldMappingEntry(name="text", source="/document/content")],
        outputs=[models.OutputFieldMappingEntry(name="languageCode", target_name="language")],
    )
    async with way.indexers() as client:
        made = [
            await settled(client.create_data_source_connection(_blobs(source))),
            await settled(client.create_skillset(models.SearchIndexerSkillset(name=skillset, skills=[skill]))),
            await settled(client.create_indexer(_indexer(way, name, source, skillset))),
        ]
        await settled(client.run_indexer(name))
        status = await settled(client.get_indexer_status(name))
        await settled(client.reset_indexer(name))
        listed = [
            source in await settled(client.get_data_source_connection_names()),
            skillset in await settled(client.get_skillset_names()),
            name in await settled(client.get_indexer_names()),
        ]
        changed = [
            await settled(client.create_or_update_data_source_connection(_blobs(source))),
            await settled(client.create_or_update_skillset(await settled(client.get_skillset(skillset)))),
            await settled(client.create_or_update_indexer(_indexer(way, name, source, skillset))),
        ]
        again = [
            await settled(client.get_data_source_connection(source)),
            await settled(client.get_indexer(name)),
        ]
        for delete, what in (
            (client.delete_indexer, name),
            (client.delete_skillset, skillset),
            (client.delete_data_source_connection, source),
        ):
            await settled(delete(what))
        return [shown(made), status.status, listed, shown(changed), shown(again)]


def _blobs(name):
    container = models.SearchIndexerDataContainer(name="papers")
    return models.SearchIndexerDataSourceConnection(
        name=name, type="azureblob", connection_string=STORAGE, container=container
    )


def _indexer(way, name, source, skillset):
    return models.SearchIndexer(
        name=name, data_source_name=source, skillset_name=skillset, target_index_name=way.index
    )


async def missing_indexer(way):
    async with way.indexers() as client:
        await settled(client.get_indexer("no-such-indexer"))


async def alias(way):
    name = f"current-{way.index}"
    async with way.indexes() as client:
        made = await settled(client.create_alias(models.SearchAlias(name=name, indexes=[way.index])))
        changed = await settled(client.create_or_update_alias(models.SearchAlias(name=name, indexes=["hotels"])))
        again = await settled(client.get_alias(name))
        listed = name in [found.name async for found in each(client.list_aliases())]
        async with way.documents(index=name) as documents:
            count = await settled(documents.get_document_count())
        await settled(client.delete_alias(name))
        return [shown(made), shown(changed), shown(again), listed, count]


async def knowledge_base(way):
    """With its source, and what it knows."""
    from azure.search.documents.knowledgebases import models as asked

    source, name = (f"{kind}-{way.index}" for kind in ("source", "kb"))
    of_index = models.SearchIndexKnowledgeSourceParameters(search_index_name="hotels")
    reference = models.KnowledgeSourceReference(name=source)
    async with way.indexes() as client:
        knowledge_source = models.SearchIndexKnowledgeSource(name=source, search_index_parameters=of_index)
        made = [
            await settled(client.create_knowledge_source(knowledge_source)),
            await settled(client.create_knowledge_base(models.KnowledgeBase(name=name, knowledge_sources=[reference]))),
        ]
        listed = [
            source in [found.name async for found in each(client.list_knowledge_sources())],
            name in [found.name async for found in each(client.list_knowledge_bases())],
        ]
        async with way.knowledge(name) as base:
            intent = asked.KnowledgeRetrievalSemanticIntent(search="pool")
            answer = await settled(base.retrieve(asked.KnowledgeBaseRetrievalRequest(intents=[intent])))
        changed = [
            await settled(client.create_or_update_knowledge_source(await settled(client.get_knowledge_source(source)))),
            await settled(client.create_or_update_knowledge_base(await settled(client.get_knowledge_base(name)))),
        ]
        await settled(client.get_knowledge_source_status(source))
        await settled(client.delete_knowledge_base(name))
        await settled(client.delete_knowledge_source(source))
        return [shown(made), shown(changed), listed, len(answer.references)]


def objects(way):
    """Registers those that this version of the SDK has."""
    way.case("synonym map", synonym_map)
    way.case("indexer, data source and skillset", indexer)
    way.case("missing indexer", missing_indexer, refused="ResourceNotFoundError", requests=1)
    if hasattr(models, "SearchAlias"):
        way.case("alias", alias)
    if hasattr(models, "KnowledgeBase"):
        way.case("knowledge base", knowledge_base)
